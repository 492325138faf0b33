import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { killGroup } from "../../dev/process.ts";
import { type MasterProcess, startMaster } from "../../dev/stack.ts";
import { type RunningCommand, startShell } from "../support/command.ts";
import { createFreshCopy } from "../support/fresh-copy.ts";
import { provideInstalled } from "../support/installed.ts";
import { codeBlocks } from "../support/markdown.ts";

/** A game studio's own project: the packed package installed by npm, and the README's two files in it. */
let copy: string;
let project: string;
let stateDir: string;
let master: MasterProcess;
const running: RunningCommand[] = [];
const node = JSON.stringify(process.execPath);
const nodeFolder = JSON.stringify(dirname(process.execPath));
const [build = "", install = ""] = codeBlocks("docs/PACKAGE.md").flatMap(({ language, code }) =>
  language === "sh" ? [code] : [],
);
const snippets = codeBlocks("README.md").flatMap(({ language, code }) => (language === "ts" ? [code] : []));

beforeAll(async () => {
  copy = createFreshCopy();
  project = mkdtempSync(join(tmpdir(), "sustenet-game-"));
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-package-"));
  master = await startMaster({ stateDir, port: 0, say: () => undefined });
});

afterAll(async () => {
  for (const { child } of running) if (child.pid !== undefined) killGroup(child.pid);
  await master.stop();
  for (const folder of [copy, project, stateDir]) rmSync(folder, { recursive: true, force: true });
});

function begin(script: string, cwd: string): RunningCommand {
  const env = { npm_config_offline: "true", SUSTENET_CLUSTER_MASTER_URL: master.url, SUSTENET_ALL_PORT: "free" };
  // The reader's own Node is one that the package is for; this machine's may be older.
  const command = startShell(`export PATH=${nodeFolder}:"$PATH"\n${script}`, { cwd, env });
  running.push(command);
  return command;
}

async function finish(script: string, cwd: string): Promise<string> {
  const command = begin(script, cwd);
  const code = await command.ended;
  const output = [...command.stdout, ...command.stderr].join("\n");
  expect(code, output).toBe(0);
  return output;
}

it("is built and packed by the documented commands; packing the sources is refused", async () => {
  await finish(build, copy);
  const wrong = begin("npm pack --dry-run", copy);
  expect(await wrong.ended).toBe(1);
  expect([...wrong.stdout, ...wrong.stderr].join("\n")).toMatch(/Pack what npm run build makes/);
});

it("installs into a project of its own, with the command in it", async () => {
  const manifest = { name: "my-game", private: true, type: "module" };
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
  const { dependencies } = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(copy, "dist/package/package.json"), "utf8")));
  provideInstalled(project, Object.keys(dependencies));
  expect(await finish(install.replace("PATH/TO", copy), project)).toMatch(/public key keys\/cluster_key\.pub/);
  const enrol = "npx sustenet enrol --public-key keys/cluster_key.pub --name my-game";
  const environmentFile = JSON.stringify(join(stateDir, "master.env"));
  expect(await finish(`${enrol} --database ${environmentFile}`, project)).toMatch(/as my-game/);
});

it("type-checks the README's two files", async () => {
  provideInstalled(project, ["@types/node"]);
  const [cluster = "", player = ""] = snippets;
  expect(player).toContain("http://127.0.0.1:6256");
  writeFileSync(join(project, "cluster.ts"), cluster);
  writeFileSync(join(project, "player.ts"), player.replace("http://127.0.0.1:6256", master.url));
  const wrong = `import { createClient } from "sustenet/client";\ncreateClient({ masterUrl: 6256 });\n`;
  writeFileSync(join(project, "wrong.ts"), wrong);
  const options = { target: "es2024", module: "nodenext", strict: true, noEmit: true, types: ["node"] };
  const files = ["cluster.ts", "player.ts"];
  const config = join(project, "tsconfig.json");
  const tsc = `${node} ${JSON.stringify(join(copy, "node_modules/typescript/bin/tsc"))} -p .`;
  writeFileSync(config, JSON.stringify({ compilerOptions: options, files }));
  await finish(tsc, project);
  // And the types are there: what is wrong is found.
  writeFileSync(config, JSON.stringify({ compilerOptions: options, files: ["wrong.ts"] }));
  const check = begin(tsc, project);
  expect(await check.ended).not.toBe(0);
  expect(check.stdout.join("\n")).toMatch(/'number' is not assignable to type 'string'/);
});

it.each(["ts", "mjs"])("runs the README's two files as .%s against a master", async (ending) => {
  for (const name of ["cluster", "player"]) {
    const source = readFileSync(join(project, `${name}.ts`), "utf8");
    if (ending === "mjs") writeFileSync(join(project, `${name}.mjs`), stripTypeScriptTypes(source));
  }
  const toml = codeBlocks("docs/PACKAGE.md").find(({ language }) => language === "toml");
  writeFileSync(join(project, "Config.toml"), toml?.code ?? "");
  const cluster = begin(`exec ${node} cluster.${ending}`, project);
  await cluster.line(/"event":"ready"/);
  expect(await finish(`${node} player.${ending}`, project)).toMatch(/The cluster answered with command 20/);
  await cluster.line(/The passphrase has 11 characters/);
  cluster.child.kill("SIGTERM");
  expect(await cluster.ended).toBe(0);
  expect(cluster.stderr).toEqual([]);
});
