// The report is whole without this: it adds values under the pointer, curves that can be hidden, PNG files and copied SQL.
"use strict";
(() => {
  document.documentElement.classList.add("live");
  try {  // inside Airflow the report follows Airflow's theme
    const theme = window.top === window ? null : localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* the browser's theme stands */ }

  const NS = "http://www.w3.org/2000/svg";
  const numbers = (text) => text.split(" ").slice(0, 2).map(Number);
  const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");

  // A panel with its series; places on the drawing are turned back into values by the scales that it bears.
  function read(plot) {
    const [left, top, width, height] = plot.dataset.box.split(" ").map(Number);
    const back = (scale, share) => {
      const [low, high] = numbers(scale);
      return scale.endsWith("log") ? low * (high / low) ** share : low + share * (high - low);
    };
    const series = [...plot.querySelectorAll(".series")].map((group) => {
      const line = group.querySelector(".line");
      const path = (line ?? group.querySelector(".dots, .marks")).getAttribute("d");
      const found = path.matchAll(line ? /(-?[\d.]+),(-?[\d.]+)/g : /M(-?[\d.]+),(-?[\d.]+)/g);
      return { group, line, points: [...found].map((pair) => [Number(pair[1]), Number(pair[2])]) };
    });
    const values = ([x, y], raised = 0) =>
      [back(plot.dataset.x, (x - left) / width), back(plot.dataset.y, (top + height - y) / height) - raised];
    return { plot, left, top, width, height, series, values };
  }

  function show(figure, event, html) {
    let tip = figure.querySelector(".tip");
    if (!html) { tip?.remove(); return; }
    if (!tip) { tip = document.createElement("div"); tip.className = "tip"; figure.append(tip); }
    tip.innerHTML = html;
    const box = figure.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    tip.style.left = `${Math.max(0, x + 14 + tip.offsetWidth > box.width ? x - tip.offsetWidth - 14 : x + 14)}px`;
    tip.style.top = `${Math.max(0, y - tip.offsetHeight - 10)}px`;
  }

  const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

  function nearest(panel, x, y) {
    const found = [];
    for (const { group, line, points } of panel.series) {
      if (group.classList.contains("off") || !points.length) continue;
      const far = ([a, b]) => (line ? Math.abs(a - x) : Math.hypot(a - x, b - y));
      const point = points.reduce((one, other) => (far(other) < far(one) ? other : one));
      if (far(point) < (line ? panel.width / 20 : 14)) found.push({ group, point });
    }
    return found;
  }

  function told(figure, panel, found) {
    if (!found.length) return "";
    const [across, up] = panel.plot.dataset.labels.split("|");
    const rows = found.map(({ group, point }) => {
      const [x, y] = panel.values(point, Number(group.dataset.raised ?? 0));
      const drawn = group.querySelector(".line, .dots, .marks");
      const colour = getComputedStyle(drawn)[drawn.matches(".marks") ? "fill" : "stroke"];
      const name = figure.querySelector(`.key[data-key="${group.dataset.key}"] text`)?.textContent ?? "";
      return `<tr><td><span class="swatch" style="background:${colour}"></span> ${escaped(name)}</td><td>${short(x)}</td><td><b>${short(y)}</b></td></tr>`;
    });
    return `<b>${escaped(panel.plot.dataset.title)}</b><table><tr><td></td><td>${escaped(across)}</td><td>${escaped(up)}</td></tr>${rows.join("")}</table>`;
  }

  function cross(panel, x) {
    document.querySelector(".cross")?.remove();
    if (!panel) return;
    const line = document.createElementNS(NS, "path");
    line.setAttribute("class", "cross");
    line.setAttribute("d", `M${x} ${panel.top}V${panel.top + panel.height}`);
    line.setAttribute("stroke", "#8a8f98");
    line.setAttribute("stroke-dasharray", "2 2");
    line.style.pointerEvents = "none";
    panel.plot.append(line);
  }

  function enliven(figure) {
    const svg = figure.querySelector("svg");
    let panels;
    svg.addEventListener("pointermove", (event) => {
      const tip = event.target.closest("[data-tip]");
      if (tip) { show(figure, event, escaped(tip.dataset.tip)); return; }
      panels ??= [...svg.querySelectorAll(".plot")].map(read);
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const panel = panels.find(({ left, top, width, height }) =>
        at.x >= left && at.x <= left + width && at.y >= top && at.y <= top + height);
      const found = panel ? nearest(panel, at.x, at.y) : [];
      const along = found.find(({ group }) => group.querySelector(".line"));
      cross(along ? panel : null, along?.point[0]);
      show(figure, event, panel ? told(figure, panel, found) : "");
    });
    svg.addEventListener("pointerleave", (event) => { cross(null); show(figure, event, ""); });
    for (const key of svg.querySelectorAll(".key")) {
      const toggle = () => {
        const off = key.classList.toggle("off");
        key.setAttribute("aria-pressed", String(!off));
        for (const one of svg.querySelectorAll(`.series[data-key="${key.dataset.key}"]`)) one.classList.toggle("off", off);
      };
      key.setAttribute("role", "button");
      key.setAttribute("tabindex", "0");
      key.setAttribute("aria-pressed", "true");
      key.addEventListener("click", toggle);
      key.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(); }
      });
    }
  }

  // 3 pixels for each unit of a drawing that is 1080 wide: 460 dots per inch over a page of 7 inches.
  function png(figure, name) {
    const drawing = figure.querySelector("svg").cloneNode(true);
    for (const one of drawing.querySelectorAll(".series.off, .key.off, .cross")) one.remove();
    drawing.setAttribute("xmlns", NS);
    const [, , width, height] = drawing.getAttribute("viewBox").split(" ").map(Number);
    const canvas = Object.assign(document.createElement("canvas"), { width: 3 * width, height: 3 * height });
    const image = new Image();
    image.onload = () => {
      const pen = canvas.getContext("2d");
      pen.fillStyle = "#ffffff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => {
        const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
        link.click();
        URL.revokeObjectURL(link.href);
      }, "image/png");
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(drawing))}`;
  }

  if (matchMedia("(max-width: 1079px)").matches) document.querySelector("nav details").open = false;
  for (const figure of document.querySelectorAll("figure")) {
    let isAlive = false;  // hundreds of figures cost nothing before somebody comes near
    figure.addEventListener("pointerenter", () => { if (!isAlive) { isAlive = true; enliven(figure); } });
    figure.addEventListener("focusin", () => { if (!isAlive) { isAlive = true; enliven(figure); } });
    figure.querySelector(".png").addEventListener("click", (event) => png(figure, event.target.dataset.name));
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "copied";
      } catch {  // a page from a file or in a frame may not: what is selected can be copied by hand
        getSelection().selectAllChildren(text);
        button.textContent = document.execCommand("copy") ? "copied" : "selected";
      }
    });
  }
  const open = () => { const at = document.getElementById(decodeURIComponent(location.hash.slice(1))); if (at?.matches("details")) at.open = true; };
  addEventListener("hashchange", open);
  open();
})();
