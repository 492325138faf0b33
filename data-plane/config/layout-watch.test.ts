import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LogBook } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { LayoutWatch } from "./layout-watch.ts";
import { loadSettings } from "./settings.ts";

let folder: string;
let watch: LayoutWatch;
const log = new LogBook();
let names: string[][];
/** What happens while the file has to stay as it is. */
let meanwhile: (ms: number) => void;

const fragment = (name: string, from: number): string =>
  `[[fragment]]\nname = "${name}"\nmin = [${from}, 0]\nmax = [${from + 10}, 10]\n`;
const load = (text: string) =>
  loadSettings(
    {
      file: join(folder, "Config.toml"),
      fileMustExist: true,
      environment: { SUSTENET_CLUSTER_MASTER_URL: "http://127.0.0.1:6256" },
    },
    text,
  );
const write = (text: string): void => writeFileSync(join(folder, "Config.toml"), text);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sustenet-"));
  names = [];
  meanwhile = () => undefined;
  log.lines.length = 0;
  write(`[all]\nport = 1\n${fragment("a", 0)}`);
  watch = new LayoutWatch({
    file: join(folder, "Config.toml"),
    load,
    checkMs: 60_000,
    settleMs: 250,
    log,
    onLayout: ({ fragments }) => names.push(fragments.map(({ name }) => name)),
    wait: async (ms) => meanwhile(ms),
  });
  await watch.start();
});
afterEach(() => {
  watch.stop();
  rmSync(folder, { recursive: true });
});

it("takes over a changed world, once", async () => {
  await watch.check();
  write(`[all]\nport = 1\n${fragment("a", 0)}${fragment("b", 10)}`);
  await watch.check();
  await watch.check();
  expect(names).toEqual([["a", "b"]]);
});

it("takes no half of a file, though that is right as well, while the rest is being written", async () => {
  const half = `[all]\nport = 1\n${fragment("b", 0)}`;
  const waited: number[] = [];
  write(half);
  meanwhile = (ms) => {
    waited.push(ms);
    write(`${half}${fragment("c", 10)}`);
  };
  await watch.check();
  expect([names, waited]).toEqual([[], [250]]);
  await watch.check();
  expect(names).toEqual([["b", "c"]]);
  meanwhile = () => rmSync(join(folder, "Config.toml"));
  write(fragment("d", 0));
  await watch.check();
  expect(names).toHaveLength(1);
});

it("takes over nothing any more once it is stopped, also where it is looking just then", async () => {
  write(fragment("b", 0));
  meanwhile = () => watch.stop();
  await watch.check();
  expect(names).toEqual([]);
});

it("looks by itself, again and again", async () => {
  const seen: number[] = [];
  const own = new LayoutWatch({
    file: join(folder, "Config.toml"),
    load,
    checkMs: 5,
    settleMs: 1,
    log,
    onLayout: ({ fragments }) => seen.push(fragments.length),
  });
  await own.start();
  write(`${fragment("a", 0)}${fragment("b", 10)}`);
  await until("the second", () => seen.includes(2));
  write(`${fragment("a", 0)}${fragment("b", 10)}${fragment("c", 20)}`);
  await until("the third", () => seen.includes(3));
  own.stop();
  expect(seen).toEqual([2, 3]);
});

it("keeps the old one when the new one has a fault, and says which and where", async () => {
  write(`${fragment("a", 0)}${fragment("b", 9)}`);
  await watch.check();
  write("[[fragment");
  await watch.check();
  write(`[clutser]\n${fragment("c", 0)}`);
  await watch.check();
  write(`[cluster]\ntick_zh = 5\n${fragment("c", 0).replace("name", "nmae")}`);
  await watch.check();
  expect(names).toEqual([]);
  const said = log.lines.map(({ level, fields, message }) => {
    return `${level} ${String(fields["event"])} ${message.replaceAll(`${folder}/`, "")}`;
  });
  expect(said).toEqual([
    'error world-refused kept the old world: Config.toml:5: fragment[1]: "b" (fragment[1]) overlaps "a" (fragment[0] in line 1) from [9, 0] to [10, 10]',
    expect.stringMatching(/^error config-refused nothing of the file was taken over: Config.toml:1:\d+: not TOML: /),
    expect.stringContaining(
      "error config-refused nothing of the file was taken over: Config.toml:1: [clutser]: unknown section",
    ),
    "error config-refused nothing of the file was taken over: Config.toml:2: [cluster] tick_zh: unknown key; did you mean tick_hz?",
    expect.stringContaining("error world-refused kept the old world: Config.toml:3: fragment[0].name: missing"),
    expect.stringContaining("error world-refused kept the old world: Config.toml:4: fragment[0].nmae: unknown key"),
  ]);
  write(fragment("d", 0));
  await watch.check();
  expect(names).toEqual([["d"]]);
});

it("takes over nothing of a file with which no cluster would start", async () => {
  const refusals = (): readonly string[] =>
    log.lines.splice(0).map(({ fields, message }) => {
      return `${String(fields["event"])} ${message.replaceAll(`${folder}/`, "")}`;
    });
  write(`[all]\nport = 99999\n${fragment("b", 0)}`);
  await watch.check();
  expect(refusals()).toEqual([
    expect.stringContaining("config-refused nothing of the file was taken over: Config.toml:2: [all] port: expected"),
  ]);
  const grid = '[world.grid]\nname = "g"\norigin = [0, 0]\nsize = [10, 10]\ncolumns = 257\nrows = 1\n';
  write(`[cluster]\nworld = "main"\n${grid}`);
  await watch.check();
  expect(refusals()).toEqual([expect.stringContaining("expected at most 256 fragments on one cluster, got 257")]);
  expect(names).toEqual([]);
});

it("says what takes effect now and what at the next start, where both have changed", async () => {
  const said = () => log.lines.splice(0).map(({ fields }) => fields["event"]);
  write(`[all]\nmax_connections = 5\n${fragment("b", 0)}`);
  await watch.check();
  expect(said()).toEqual(["world-changed", "config-changed"]);
  write(`[all]\nmax_connections = 5\n${fragment("c", 0)}`);
  await watch.check();
  expect(said()).toEqual(["world-changed"]);
  write("[all]\nmax_connections = 6\n");
  await watch.check();
  expect(said()).toEqual(["world-kept", "config-changed"]);
});

it("says that nothing changes where a fault is taken back, or a comment comes", async () => {
  const good = `[all]\nport = 1\n${fragment("a", 0)}`;
  const said = () => log.lines.splice(0).map(({ fields }) => fields["event"]);
  write(`${good}${fragment("b", 9)}`);
  await watch.check();
  expect(said()).toEqual(["world-refused"]);
  write(good);
  await watch.check();
  expect(said()).toEqual(["config-unchanged"]);
  write(`# a comment\n${good}`);
  await watch.check();
  expect(said()).toEqual(["config-unchanged"]);
  expect(names).toEqual([]);
});

it("says what does not take effect, and outlives a file that is gone", async () => {
  write(`[all]\nport = 2\n${fragment("a", 0)}`);
  await watch.check();
  write("[all]\nport = 2\n");
  await watch.check();
  rmSync(join(folder, "Config.toml"));
  await watch.check();
  expect(names).toEqual([]);
  expect(log.lines.map(({ fields }) => fields["event"])).toEqual(["config-changed", "world-kept"]);
});
