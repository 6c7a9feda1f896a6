/** Asks the API: with the cookie of the session, which no script can read, and the proof that a page of ours asks. */

const ROOT = "/api/v1";
const KEPT = "switchyard.csrf";
const ANSWER_WITHIN_MS = 30_000;
const COME_BACK_WITHIN_SECONDS = 10;
const SILENT = {
  GET: "The API does not answer.",
  POST: "The API does not answer; what was asked for may be done all the same. Look before you try again.",
};

let csrf = sessionStorage.getItem(KEPT) ?? "";

/** Something that went wrong, as the API told it; `status` is 0 when it did not answer. */
export class Problem extends Error {
  /** @param {{status: number, title: string, detail?: string, type?: string}} told - All of it is in `more`. */
  constructor(told) {
    super(told.detail ?? told.title);
    this.name = "Problem";
    this.status = told.status;
    this.title = told.title;
    this.detail = told.detail ?? told.title;
    this.type = (told.type ?? "").split(":").pop();
    this.more = told;
  }
}

/**
 * Read something.
 *
 * @param {string} path - Such as "/queues".
 * @param {{query?: object, signal?: AbortSignal}} [options] - `query`: values, or arrays of them; empty ones are left
 *   out.
 * @returns {Promise<any>} The answer's JSON.
 * @throws {Problem}
 */
export async function get(path, { query, signal } = {}) {
  const answer = await ask(address(path, query), {}, signal);
  const wait = Number(answer.headers.get("Retry-After") ?? Infinity);
  if (answer.status !== 429 || wait > COME_BACK_WITHIN_SECONDS) return told(answer);
  await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  signal?.throwIfAborted();
  return told(await ask(address(path, query), {}, signal));
}

/**
 * Change something; it is carried out once for each idempotency key.
 *
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, query?: object, signal?: AbortSignal, type?: string, idempotencyKey?: string}} [options] -
 *   `body`: plain data goes as JSON; FormData and Blobs go as they are, the latter as `type`. Without a key the request
 *   gets a fresh one; give one to try the same thing again.
 * @returns {Promise<any>} The answer's JSON.
 * @throws {Problem}
 */
export async function send(method, path, { body, query, signal, type, idempotencyKey } = {}) {
  const headers = headersOfChange(idempotencyKey);
  const asItIs = body instanceof FormData || body instanceof Blob;
  if (body !== undefined && !(body instanceof FormData)) headers["Content-Type"] = type ?? "application/json";
  const content = body === undefined || asItIs ? body : JSON.stringify(body);
  return told(await ask(address(path, query), { method, headers, body: content }, signal, !asItIs));
}

/**
 * Return the headers that every change bears, for a request that is made otherwise, such as an upload with progress.
 *
 * @param {string} [idempotencyKey] - A fresh one by default.
 * @returns {Record<string, string>}
 */
export function headersOfChange(idempotencyKey = freshKey()) {
  return { "X-CSRF-Token": csrf, "Idempotency-Key": idempotencyKey };
}

/**
 * Return the address of something below the API, for links, images and uploads.
 *
 * @param {string} path - With or without the API's own root.
 * @param {object} [query]
 * @returns {string}
 */
export function address(path, query) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") given.append(name, each);
    }
  }
  const root = path.startsWith(`${ROOT}/`) ? "" : ROOT;
  return `${root}${path}${given.size ? `?${given}` : ""}`;
}

/**
 * Follow something by server-sent events, over broken connections, until it has ended or the signal comes.
 *
 * @param {string} path - Such as "/jobs/ID/events".
 * @param {{signal: AbortSignal, onState: (state: object) => void, onEnd?: () => void,
 *   onLost?: (problem: Problem|null) => void}} options - `onLost` is called with a problem when the connection broke,
 *   and with null when it is there again.
 */
export function follow(path, { signal, onState, onEnd, onLost }) {
  let source;
  let tries = 0;
  let timer;
  const lost = () => onLost?.(new Problem({ status: 0, title: "The connection broke; it is renewed." }));
  const connect = () => {
    source = new EventSource(address(path));
    source.addEventListener("state", (event) => {
      if (tries) onLost?.(null);
      tries = 0;
      onState(JSON.parse(event.data));
    });
    source.addEventListener("end", () => {
      source.close();
      onEnd?.();
    });
    source.addEventListener("error", async () => {
      source.close(); // a browser gives up on what is no stream, and says nothing
      if (signal.aborted) return;
      tries += 1;
      lost();
      try {
        await get("/me", { signal });
      } catch {
        // Who is not signed in any more is asked to; else it is tried again.
      }
      if (!signal.aborted) timer = setTimeout(connect, Math.min(1000 * 2 ** (tries - 1), 15_000));
    });
  };
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    source.close();
  });
  if (!signal.aborted) connect();
}

/**
 * Tell who is signed in.
 *
 * @returns {Promise<{key: string, label: string, role: string, acts: string[], brokers: string[]}>}
 * @throws {Problem} 401 for nobody.
 */
export async function me() {
  const known = await get("/me");
  keep(known.csrf);
  return known;
}

/**
 * Sign in with a key.
 *
 * @param {string} key
 * @throws {Problem} 401 for a key that is none, or was revoked.
 */
export async function signIn(key) {
  const headers = { "Content-Type": "application/json" };
  const answer = await ask("/session", { method: "POST", headers, body: JSON.stringify({ key }) });
  keep((await told(answer, false)).csrf);
}

/** Sign out; the session is over for all tabs. */
export async function signOut() {
  const answer = await ask("/session", { method: "DELETE", headers: { "X-CSRF-Token": csrf } });
  keep("");
  await told(answer, false);
}

/**
 * Call something whenever an answer says that nobody is signed in.
 *
 * @param {() => void} listener
 */
export function whenSignedOut(listener) {
  document.addEventListener("switchyard:signed-out", listener);
}

function keep(token) {
  if (token === undefined) return;
  csrf = token;
  sessionStorage.setItem(KEPT, token);
}

function freshKey() {
  // randomUUID is there on secure origins alone; the console is also read over plain HTTP in a private network.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(url, options, signal, timed = true) {
  const limits = timed ? [AbortSignal.timeout(ANSWER_WITHIN_MS)] : [];
  try {
    return await fetch(url, {
      credentials: "same-origin",
      redirect: "error",
      ...options,
      signal: AbortSignal.any(signal ? [signal, ...limits] : limits),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ status: 0, title: "No answer", detail: SILENT[options.method ?? "GET"] ?? SILENT.POST });
  }
}

async function told(answer, signedIn = true) {
  const text = await answer.text();
  let content = null;
  try {
    content = text ? JSON.parse(text) : null;
  } catch {
    content = { detail: `The API answered with ${answer.status}, and no JSON.` };
  }
  if (answer.ok) return content;
  if (answer.status === 401 && signedIn) document.dispatchEvent(new CustomEvent("switchyard:signed-out"));
  throw new Problem({ title: answer.statusText || `Status ${answer.status}`, ...content, status: answer.status });
}
