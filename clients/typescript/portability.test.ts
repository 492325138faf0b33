/** All but the transport for Node runs in browsers as well. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const folder = import.meta.dirname;
const sources = readdirSync(folder).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));

it("needs Node in node-tls.ts alone, which the face for Node alone imports", () => {
  const users = (pattern: RegExp): string[] =>
    sources.filter((file) => pattern.test(readFileSync(join(folder, file), "utf8")));
  expect(users(/from "node:/)).toEqual(["node-tls.ts"]);
  expect(users(/\.\/node-tls\.ts"/)).toEqual(["index.ts"]);
});

it("depends on nothing but the protocol", () => {
  for (const file of sources) {
    for (const [, from = ""] of readFileSync(join(folder, file), "utf8").matchAll(/from "([^"]+)"/g)) {
      expect(from, file).toMatch(
        /^(\.\/[\w-]+\.ts|\.\.\/\.\.\/protocol\/(index|handover\/[\w-]+)\.ts|node:(crypto|tls))$/,
      );
    }
  }
});

it("compiles against the browser's types, without Node's, for users who tell undefined from absent too", () => {
  const portable = sources.filter((file) => file !== "node-tls.ts" && file !== "index.ts");
  portable.push("testing/strict-user.ts");
  const flags =
    "--noEmit --ignoreConfig --strict --skipLibCheck --allowImportingTsExtensions --erasableSyntaxOnly --exactOptionalPropertyTypes";
  const target = "--target es2024 --lib es2024,dom,dom.iterable --module nodenext --types";
  const { status, stdout } = spawnSync(
    join(folder, "../../node_modules/.bin/tsc"),
    [...flags.split(" "), ...target.split(" "), "", ...portable.map((file) => join(folder, file))],
    { encoding: "utf8", timeout: 60_000 },
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
});
