import { settingRows } from "./setting-table.ts";

/** What `--help` of a cluster says: every flag, and what it takes. */
export function flagHelp(): string {
  const flags = settingRows.map(({ key, expected }) => `  --${key.replaceAll("_", "-")}\n      ${expected}`);
  return [
    "A Sustenet cluster. It reads Config.toml of the current folder; each of these flags goes before what it says.",
    "",
    "  --config FILE\n      another Config.toml",
    "  --print-config\n      shows what all settings come to, and ends",
    "  --help\n      this text",
    ...flags,
    "",
    "What the settings mean: examples/minimal/README.md in the repository of Sustenet. Ctrl-C stops it.",
  ].join("\n");
}
