/*
 * The operators' page: what there is and what was done, to look at. All that it shows it asks `/v1/admin` for, as everybody does. The access token
 * is in this module's memory alone, in no address, cookie or storage: whoever leaves the page or reloads it signs in again. What comes
 * from the master is only ever set as text. It imports nothing: `npm run console` takes the types away, and the master serves the rest.
 */

interface Summary {
  readonly clusters: number;
  readonly ready: number;
  readonly suspect: number;
  readonly locked: number;
  readonly draining: number;
  readonly capacity: number;
  readonly seats: number;
  readonly joined: number;
  readonly players: number;
}

interface Capacity {
  readonly total: Summary;
  readonly regions: readonly {
    readonly region: string;
    readonly total: Summary;
    /** `null` of a shard that did not answer. */
    readonly shards: readonly { readonly summary: Summary | null }[];
  }[];
}

interface ClusterPage {
  readonly clusters: readonly {
    readonly id: string;
    readonly name: string;
    readonly region: string;
    readonly state: string;
    readonly reason: string | null;
    readonly players: number;
    readonly seats: number;
    readonly capacity: number;
    readonly lastSignAtMs: number;
  }[];
  readonly next: string | null;
}

interface AuditPage {
  readonly rows: readonly {
    readonly atMs: number;
    readonly actor: string;
    readonly action: string;
    readonly target: string;
    readonly outcome: string;
    readonly details: string;
  }[];
}

/** The master has refused, in its own words, or could not be reached. */
class Refused extends Error {
  readonly isSignedOut: boolean;

  constructor(message: string, isSignedOut: boolean) {
    super(message);
    this.isSignedOut = isSignedOut;
  }
}

const deadlineMs = 15_000;

let token: string | undefined;
/** Another one after each sign-out: what was asked before it must show nothing after it. */
let visit = {};
/** Whether the token was given out to this page, which then ends it. */
let isOwn = false;
let nextClusters: string | null = null;

const signIn = element("sign-in", HTMLFormElement);
const [email, password, given] = ["email", "password", "token"].map((id) => element(id, HTMLInputElement));
const overview = element("overview", HTMLElement);
const notice = element("notice", HTMLElement);
const more = element("more", HTMLButtonElement);

signIn.addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    const [address = "", secret = "", brought = ""] = [email?.value, password?.value, given?.value];
    for (const field of [password, given]) if (field !== undefined) field.value = "";
    const mine = visit;
    isOwn = brought === "";
    token = undefined;
    const shown = isOwn ? await logIn(address.trim(), secret) : brought.trim();
    if (mine !== visit) return;
    token = shown;
    await showAll();
    if (mine !== visit) return;
    signIn.hidden = true;
    overview.hidden = false;
  });
});
element("refresh", HTMLButtonElement).addEventListener("click", () => act(showAll));
more.addEventListener("click", () => act(showMoreClusters));
element("sign-out", HTMLButtonElement).addEventListener("click", () =>
  act(async () => {
    const ended = isOwn ? ask("POST", "/v1/logout") : undefined;
    forget();
    await ended;
  }),
);
// A page that is kept in memory for the way back must not be one that is signed in.
addEventListener("pagehide", forget);

/** Does what a button asks for; what goes wrong is said on the page. */
function act(work: () => Promise<void>): void {
  notice.textContent = "";
  const mine = visit;
  work().catch((error: unknown) => {
    if (mine !== visit) return;
    if (!(error instanceof Refused) || error.isSignedOut || overview.hidden) forget();
    notice.textContent = error instanceof Refused ? error.message : "The page has failed. Reload it.";
  });
}

/** As if nobody had ever signed in. */
function forget(): void {
  visit = {};
  token = undefined;
  nextClusters = null;
  overview.hidden = true;
  signIn.hidden = false;
  for (const table of ["capacity", "clusters", "audit"]) element(table, HTMLTableElement).replaceChildren();
}

async function logIn(address: string, secret: string): Promise<string> {
  const tokens: { accessToken: string } = JSON.parse(
    await ask("POST", "/v1/login", { email: address, password: secret }),
  );
  return tokens.accessToken;
}

async function showAll(): Promise<void> {
  const mine = visit;
  const capacity: Capacity = JSON.parse(await ask("GET", "/v1/admin/capacity"));
  const clusters: ClusterPage = JSON.parse(await ask("GET", "/v1/admin/clusters?limit=100"));
  const audit: AuditPage = JSON.parse(await ask("GET", "/v1/admin/audit?limit=50"));
  if (mine !== visit) return;
  const all = { region: "all", total: capacity.total, shards: capacity.regions.flatMap(({ shards }) => shards) };
  const regions = [...capacity.regions, all];
  const head = [
    "region",
    "clusters",
    "ready",
    "suspect",
    "locked",
    "draining",
    "places",
    "seats",
    "in the game",
    "players",
  ];
  fill(
    "capacity",
    head,
    regions.map(({ region, total, shards }) => [
      shards.some(({ summary }) => summary === null) ? `${region} (in part)` : region,
      total.clusters,
      total.ready,
      total.suspect,
      total.locked,
      total.draining,
      total.capacity,
      total.seats,
      total.joined,
      total.players,
    ]),
  );
  fill(
    "clusters",
    ["id", "name", "region", "state", "why", "players", "seats", "places", "last sign"],
    rowsOf(clusters),
  );
  fill(
    "audit",
    ["when", "who", "what", "of", "outcome", "details"],
    audit.rows.map((row) => [timeOf(row.atMs), row.actor, row.action, row.target, row.outcome, row.details]),
  );
}

async function showMoreClusters(): Promise<void> {
  if (nextClusters === null) return;
  const path = `/v1/admin/clusters?limit=100&cursor=${encodeURIComponent(nextClusters)}`;
  const mine = visit;
  // Pressed twice, it would show the same clusters twice.
  more.disabled = true;
  try {
    const page: ClusterPage = JSON.parse(await ask("GET", path));
    if (mine !== visit) return;
    addRows(element("clusters", HTMLTableElement), rowsOf(page));
  } finally {
    more.disabled = false;
  }
}

function rowsOf({ clusters, next }: ClusterPage) {
  nextClusters = next;
  more.hidden = next === null;
  return clusters.map((each) => [
    each.id,
    each.name,
    each.region,
    each.state,
    each.reason ?? "",
    each.players,
    each.seats,
    each.capacity === 0 ? "no limit" : each.capacity,
    timeOf(each.lastSignAtMs),
  ]);
}

/** The text of the master's answer. @throws Refused */
async function ask(method: string, path: string, body?: unknown): Promise<string> {
  const headers = new Headers({ accept: "application/json" });
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(deadlineMs),
    });
    text = await answer.text();
  } catch {
    throw new Refused("The master cannot be reached. Try again.", false);
  }
  if (answer.ok) return text;
  const problem: { title?: string; detail?: string } = text.startsWith("{") ? JSON.parse(text) : {};
  // The detail says all that the title does.
  const words = problem.detail ?? problem.title ?? `The master has answered with status ${answer.status}.`;
  throw new Refused(words, answer.status === 401 || answer.status === 403);
}

function fill(id: string, head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = element(id, HTMLTableElement);
  table.replaceChildren();
  const row = table.createTHead().insertRow();
  for (const name of head) {
    const cell = document.createElement("th");
    cell.textContent = name;
    row.append(cell);
  }
  addRows(table, rows);
}

function addRows(table: HTMLTableElement, rows: readonly (readonly (string | number)[])[]): void {
  const body = table.tBodies[0] ?? table.createTBody();
  for (const values of rows) {
    const row = body.insertRow();
    for (const value of values) row.insertCell().textContent = String(value);
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").slice(0, 19);
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${id}`);
  return found;
}
