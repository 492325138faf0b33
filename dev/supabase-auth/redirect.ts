import type { ProjectSettings } from "./project.ts";

/** Where a browser may go: where it wants to if that is on the site or in the list, to the site otherwise. Nobody is told. */
export function allowedRedirect(settings: ProjectSettings, wanted: string): string {
  const { siteUrl, redirectUrls } = settings;
  if (!URL.canParse(wanted)) return siteUrl;
  if (new URL(wanted).hostname === new URL(siteUrl).hostname) return wanted;
  return redirectUrls.some((pattern) => globPattern(pattern).test(wanted)) ? wanted : siteUrl;
}

/** `*` stands for anything but a dot or a slash, `**` for anything. */
function globPattern(pattern: string): RegExp {
  const source = pattern
    .split(/(\*\*?)/)
    .map((part) => (part === "**" ? ".*" : part === "*" ? "[^./]*" : part.replaceAll(/[$()+.?[\\\]^{|}]/g, "\\$&")))
    .join("");
  return new RegExp(`^${source}$`);
}
