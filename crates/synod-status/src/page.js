"use strict";
// Brings the page up to date without a flicker: the content is replaced in one go, and only if it has changed.
(() => {
  const period = 1000;
  const lost = document.getElementById("lost");
  async function refresh() {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.statusText);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const [here, there] = [document.getElementById("content"), next.getElementById("content")];
      if (here.innerHTML !== there.innerHTML) here.replaceWith(document.adoptNode(there));
      document.title = next.title;
      document.documentElement.dataset.told = Date.now();
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    setTimeout(refresh, document.hidden ? 5 * period : period);
  }
  setTimeout(refresh, period);
})();
