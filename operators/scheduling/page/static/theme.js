/* Airflow keeps its theme in localStorage, which the page shares: light, dark, or system. Runs before anything is drawn. */
"use strict";
(() => {
  const follow = () => {
    let theme = null;
    try {
      theme = localStorage.getItem("theme");
    } catch {
      /* storage is forbidden: the system's theme it is */
    }
    if (theme === "light" || theme === "dark") {
      document.documentElement.dataset.theme = theme;
    } else {
      delete document.documentElement.dataset.theme;
    }
  };
  follow();
  addEventListener("storage", (event) => {
    if (event.key === "theme" || event.key === null) follow();
  });
})();
