import { isIPv6 } from "node:net";
import { defaultMasterPort } from "./setting-table.ts";
import { isLoopbackHost } from "../../protocol/index.ts";

/** The master's origin from `master_url`, or what was expected instead. */
export function parseMasterUrl(text: string): { readonly origin: string } | { readonly expected: string } {
  if (!URL.canParse(text)) return { expected: "an address like https://master.example.com" };
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return { expected: "an address with https://" };
  if (url.username !== "" || url.password !== "") return { expected: "an address without user name and password" };
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return { expected: "an address without a path, as https://master.example.com" };
  }
  if (url.protocol === "http:" && !isLoopbackHost(url.hostname)) {
    return { expected: "https://, because plain http is for a master on this machine only" };
  }
  return { origin: url.origin };
}

/** The master's origin from the original's `master_ip` and `master_port`: https, unless it is on this machine. */
export function masterOrigin(ip: string, port: number): string | undefined {
  const host = isIPv6(ip) ? `[${ip}]` : ip;
  const scheme = isLoopbackHost(ip) ? "http" : "https";
  const url = `${scheme}://${host}:${port === 0 ? defaultMasterPort : port}`;
  return URL.canParse(url) ? new URL(url).origin : undefined;
}
