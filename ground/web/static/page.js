// Keeps what is running up to date. Without it the page works, and shows how things were when it was loaded.
"use strict";

const EVERY = 5000; // milliseconds, where the part does not say

async function refresh(part) {
  const answer = await fetch(part.dataset.live, { redirect: "error" });
  if (!answer.ok) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  // Who is in the middle of it with the keyboard or a screen reader is left in peace.
  if (fresh.innerHTML.trim() !== part.innerHTML.trim() && !part.contains(document.activeElement)) {
    part.replaceChildren(...fresh.childNodes);
  }
  return true;
}

for (const part of document.querySelectorAll("[data-live]")) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try {
      if (!(await refresh(part))) clearInterval(timer); // the visit is over
    } catch {
      // the page is being started again: ask once more later
    }
  }, Number(part.dataset.every) || EVERY);
}
