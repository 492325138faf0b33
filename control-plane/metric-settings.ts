import { readOptionalText, type SettingSource } from "./settings.ts";

/** The secret that opens `GET /metrics`; without it there are none. @throws SettingError */
export function readMetricsToken(source: SettingSource): string | undefined {
  return readOptionalText(
    source,
    "METRICS_TOKEN",
    /^[\w.~+/=-]{16,256}$/,
    "16 to 256 characters that a bearer token may have",
  );
}
