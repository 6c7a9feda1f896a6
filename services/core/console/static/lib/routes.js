/** Which address shows which page. */

const PAGES = [
  { path: "/", page: "overview", nav: "overview" },
  { path: "/queues", page: "queues", nav: "queues" },
  { path: "/queues/:name", page: "queue", nav: "queues" },
  { path: "/workers", page: "workers", nav: "workers" },
  { path: "/tasks", page: "tasks", nav: "tasks" },
  { path: "/tasks/:id", page: "task", nav: "tasks" },
  { path: "/workflows", page: "workflows", nav: "workflows" },
  { path: "/workflows/:id", page: "workflow", nav: "workflows" },
  { path: "/dead", page: "dead", nav: "dead" },
  { path: "/dead/:id", page: "letter", nav: "dead" },
  { path: "/campaigns", page: "campaigns", nav: "campaigns" },
  { path: "/campaigns/:id", page: "campaign", nav: "campaigns" },
  { path: "/jobs", page: "jobs", nav: "jobs" },
  { path: "/jobs/:id", page: "job", nav: "jobs" },
  { path: "/schedule", page: "schedule", nav: "schedule" },
  { path: "/access", page: "access", nav: "access" },
];

/** What the navigation offers: in groups, each with the key that follows `g`, and the act that it takes. */
export const NAVIGATION = [
  {
    title: "Fleet",
    entries: [
      { nav: "overview", href: "#/", text: "Overview", key: "o" },
      { nav: "queues", href: "#/queues", text: "Queues", key: "q" },
      { nav: "workers", href: "#/workers", text: "Workers", key: "w" },
      { nav: "schedule", href: "#/schedule", text: "Schedule", key: "s" },
    ],
  },
  {
    title: "Work",
    entries: [
      { nav: "campaigns", href: "#/campaigns", text: "Campaigns", key: "c" },
      { nav: "jobs", href: "#/jobs", text: "File jobs", key: "j" },
      { nav: "tasks", href: "#/tasks", text: "Tasks", key: "t" },
      { nav: "workflows", href: "#/workflows", text: "Workflows", key: "f" },
      { nav: "dead", href: "#/dead", text: "Dead letters", key: "d", act: "read" },
    ],
  },
  {
    title: "Access",
    entries: [{ nav: "access", href: "#/access", text: "Keys and audit", key: "a", act: "see access" }],
  },
];

/**
 * Find the page of an address.
 *
 * @param {string} hash - Such as "#/tasks?state=FAILURE".
 * @returns {{page: string, nav: string, params: Record<string, string>, query: URLSearchParams}} `page` is "not_found"
 *   for what leads nowhere.
 */
export function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const parts = (path || "/").split("/");
  for (const route of PAGES) {
    const params = matched(route.path.split("/"), parts);
    if (params) return { page: route.page, nav: route.nav, params, query: new URLSearchParams(query) };
  }
  return { page: "not_found", nav: "", params: {}, query: new URLSearchParams() };
}

function matched(wanted, parts) {
  if (wanted.length !== parts.length) return null;
  const params = {};
  for (const [place, want] of wanted.entries()) {
    if (want.startsWith(":") && parts[place]) {
      try {
        params[want.slice(1)] = decodeURIComponent(parts[place]);
      } catch {
        return null;
      }
    } else if (want !== parts[place]) return null;
  }
  return params;
}
