import { isLoopbackHost } from "../../protocol/index.ts";

/** Longest redirect, in characters. */
const maxRedirectLength = 2_048;

/**
 * Whether a login may end at `redirectTo`: an address of the list, letter for letter. One of the list that is on loopback over
 * `http:` matches at any port, for a game cannot know which one it will get (RFC 8252, 7.3). Nothing matches by its beginning:
 * an open redirect below a listed address would hand codes to strangers. [SEC-32]
 */
export function isRedirectAllowed(redirectTo: string, allowed: readonly string[]): boolean {
  if (redirectTo.length > maxRedirectLength || !URL.canParse(redirectTo)) return false;
  const wanted = comparable(redirectTo);
  return wanted !== undefined && allowed.some((entry) => URL.canParse(entry) && comparable(entry) === wanted);
}

/** The address without what may differ; `undefined` when it is none that a code may be sent to. */
function comparable(address: string): string | undefined {
  const url = new URL(address);
  // Credentials and fragments have no place in a redirect; scripts and the like are no places at all.
  if (url.username !== "" || url.password !== "" || address.includes("#")) return undefined;
  if (/^(?:javascript|data|blob|file|about):$/.test(url.protocol)) return undefined;
  if (url.protocol === "http:") {
    if (!isLoopbackHost(url.hostname)) return undefined;
    url.port = "";
  }
  return url.href;
}
