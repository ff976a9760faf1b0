// Keeps the page up to date: every few seconds while somebody looks, without touching what has the
// focus, what is chosen or what is folded open. Everything works without this file, too.
(() => {
  "use strict";
  const EVERY_MS = 3000;
  const stale = document.getElementById("stale");
  const pause = document.getElementById("pause");
  const page = () => document.getElementById("page");
  let paused = false;
  let busy = false;

  if (!page()) return; // the page that asks for the token

  // What a person chose in the page is theirs, not the server's.
  const KEPT = new Map([["DETAILS", "open"], ["OPTION", "selected"]]);
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) =>
    KEPT.get(element.tagName) !== name;
  Idiomorph.defaults.ignoreActiveValue = true;

  const refresh = () => {
    if (paused || busy || document.visibilityState !== "visible") return;
    busy = true;
    htmx.trigger(page(), "refresh");
  };
  const say = (text) => {
    stale.textContent = text;
    stale.hidden = !text;
  };

  document.body.addEventListener("htmx:afterRequest", () => { busy = false; });
  document.body.addEventListener("htmx:afterSwap", () => say(""));
  document.body.addEventListener("htmx:sendError", () =>
    say("The node does not answer. What you see is as it was."));
  document.body.addEventListener("htmx:timeout", () =>
    say("The node does not answer in time. What you see is as it was."));
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) window.location.reload();
    else if (event.detail.xhr.status === 404) window.location.assign("/incidents");
    else say(`The node answers ${event.detail.xhr.status}. What you see is as it was.`);
  });
  document.addEventListener("visibilitychange", refresh);

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Updates paused" : "Pause updates";
    refresh();
  });
  htmx.config.timeout = 10000;
  window.setInterval(refresh, EVERY_MS);
})();
