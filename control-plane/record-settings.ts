import { readOptionalText, SettingError, type SettingSource } from "./settings.ts";

const defaultRetentionDays = 90;
const maxRetentionDays = 3_650;

/** How long history is kept. 0: for ever. @throws SettingError */
export function readRecordSettings(source: SettingSource): { readonly retentionDays: number } {
  const expected = `a whole number of days up to ${maxRetentionDays}, 0 for ever`;
  const text = readOptionalText(source, "RECORDS_RETENTION_DAYS", /^\d{1,4}$/, expected);
  const retentionDays = text === undefined ? defaultRetentionDays : Number(text);
  if (retentionDays > maxRetentionDays) throw new SettingError("RECORDS_RETENTION_DAYS", expected);
  return { retentionDays };
}
