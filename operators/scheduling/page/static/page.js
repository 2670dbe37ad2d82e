/* Follows the published warehouse, loads what may come late, toggles curves, and makes the SQL box pleasant. */
"use strict";
(() => {
  const { base, template } = document.body.dataset;
  const POLL_MS = 10000;
  const SPREAD_MS = 3000; // many open pages do not ask for the new one at once

  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  // --- another warehouse -------------------------------------------------------------------------------------------
  const say = (text) => {
    document.getElementById("published").textContent = text;
  };

  const refresh = async () => {
    if (template === "framed") {
      document.querySelector("iframe.framed").contentWindow.location.reload();
      return true;
    }
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok && answer.status !== 404) return false;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = document.getElementById("main");
    const opened = new Set([...main.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
    const hidden = [...main.querySelectorAll("button.series[aria-pressed=false]")].map((one) => one.dataset.series);
    const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
    main.replaceChildren(...fresh.getElementById("main").childNodes);
    document.getElementById("published").replaceChildren(...fresh.getElementById("published").childNodes);
    for (const summary of main.querySelectorAll("details > summary")) {
      summary.parentElement.open = opened.has(summary.textContent);
    }
    hidden.forEach((name) => toggle(name, false));
    if (focused) document.getElementById(focused)?.focus();
    loadParts();
    return true;
  };

  const look = async () => {
    const answer = await fetch(`${base}/version`, { credentials: "same-origin", cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      say("Your session has ended: reload Airflow to go on.");
      return;
    }
    if (!answer.ok) return;
    const { version } = await answer.json();
    if (version === document.body.dataset.version) return;
    const isTyping = ["INPUT", "TEXTAREA"].includes(document.activeElement?.tagName);
    if (template === "sql" || isTyping) {
      say("A newer warehouse was published; the next query or page shows it.");
      return;
    }
    await wait(Math.random() * SPREAD_MS);
    if (await refresh()) document.body.dataset.version = version;
  };

  const follow = async () => {
    for (;;) {
      await wait(POLL_MS);
      if (document.hidden) continue;
      try {
        await look();
      } catch {
        /* Airflow restarts, or the network is away: the next look tells */
      }
    }
  };

  // --- parts that may come late ------------------------------------------------------------------------------------
  const loadParts = async () => {
    for (const part of document.querySelectorAll("[data-part]")) {
      try {
        const answer = await fetch(`${base}/${part.dataset.part}`, { credentials: "same-origin" });
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          part.replaceChildren(...fresh.body.childNodes);
        }
      } catch {
        part.querySelector(".waiting").textContent = "Airflow did not answer; reload the page to ask again.";
      }
    }
  };

  // --- curves ------------------------------------------------------------------------------------------------------
  const toggle = (name, isShown) => {
    for (const one of document.querySelectorAll("[data-series]")) {
      if (one.dataset.series !== name) continue;
      if (one.tagName === "BUTTON") one.setAttribute("aria-pressed", String(isShown));
      else one.classList.toggle("away", !isShown);
    }
  };

  document.addEventListener("click", (event) => {
    const series = event.target.closest("button.series");
    if (series) toggle(series.dataset.series, series.getAttribute("aria-pressed") !== "true");
    const column = event.target.closest("button.column");
    if (column) put(column.dataset.name);
    const example = event.target.closest("a.example");
    if (example && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      const query = document.getElementById("query");
      query.value = example.dataset.query;
      query.focus();
      query.scrollIntoView({ block: "center" });
    }
  });

  // --- the SQL box -------------------------------------------------------------------------------------------------
  const put = (text) => {
    const query = document.getElementById("query");
    query.setRangeText(text, query.selectionStart, query.selectionEnd, "end");
    query.focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.id === "query" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });

  document.addEventListener("submit", (event) => {
    const button = event.target.querySelector("button.main");
    const isDownload = event.submitter?.hasAttribute("formaction");
    if (button && !isDownload) button.textContent = "Running ...";
  });

  document.addEventListener("input", (event) => {
    if (event.target.id !== "filter") return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const table of document.querySelectorAll("#tables details")) {
      const name = table.querySelector("summary").textContent.toLowerCase();
      let fits = name.includes(wanted);
      for (const row of table.querySelectorAll("dl > div")) {
        const isHit = row.textContent.toLowerCase().includes(wanted);
        row.hidden = Boolean(wanted) && !isHit && !name.includes(wanted);
        fits ||= isHit;
      }
      table.hidden = Boolean(wanted) && !fits;
    }
  });

  loadParts();
  follow();
})();
