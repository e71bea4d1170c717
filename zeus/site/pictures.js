// Pictures and players that survive an outage: what was lost on the way comes once the node answers again.
import { request } from "./api.js";

const TRIES = 2;
const LIMIT = 15000;

/**
 * Load a picture or a player, and again after a lost connection or a sign-in, at the moment that it played.
 * `onrefused` is called where the node has no such thing, with its error if it told one, or the browser cannot show it.
 */
export function load(element, source, { signal, onrefused = () => {} } = {}) {
  let tries = 0;
  const failed = async () => {
    const { currentTime: moment, paused } = element;
    tries += 1;
    try {
      if (await wasLost(source, signal)) tries = 0;
    } catch (error) {
      if (!signal?.aborted) onrefused(error);
      return;
    }
    if (signal?.aborted) return;
    if (tries >= TRIES) {
      onrefused(null);
      return;
    }
    element.src = source;
    if (moment) element.currentTime = moment;
    if (paused === false) element.play().catch(() => {}); // what it may not do by itself it leaves to a person
  };
  element.addEventListener("error", failed, { signal });
  element.src = source;
  return element;
}

/**
 * Whether what did not load was lost on the way: resolves once the node answers again. False where the node would give
 * it. Throws the node's ApiError, or null where there is nothing.
 */
async function wasLost(source, signal) {
  const ends = AbortSignal.any([signal, AbortSignal.timeout(LIMIT)].filter(Boolean));
  const answer = await fetch(source, { method: "HEAD", signal: ends }).catch(() => null);
  if (answer?.status === 204) throw null;
  if (answer?.ok) return false;
  await request("HEAD", source, { waits: true, signal });
  return true;
}
