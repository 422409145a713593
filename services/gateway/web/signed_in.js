// Who is signed in, and out again; nothing where nobody is asked who they are.

import { get } from "/web/api.js";
import { h } from "/web/dom.js";

/** Puts a button into `place` when this browser is signed in. */
export async function showSignedIn(place) {
  const caller = await get("/whoami").catch(() => undefined);
  if (caller?.way !== "cookie") return;
  const leave = async () => {
    await fetch("/sign-out", { method: "POST", redirect: "manual" });
    location.assign("/sign-in");
  };
  const title = `signed in, scope ${caller.scope.toLowerCase()}`;
  place.append(h("button", { type: "button", class: "quiet", title, on: { click: leave } }, `Sign out ${caller.name}`));
}
