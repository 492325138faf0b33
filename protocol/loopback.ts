const octet = "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)";
const loopbackHost = new RegExp(`^(?:localhost|127(?:\\.${octet}){3}|::1|\\[::1\\])$`, "i");

/**
 * Whether what goes to a host stays on this machine, where secrets may go without TLS: `localhost`, 127.0.0.0/8, or `::1`, as a URL has it or
 * without the brackets (RFC 8252, section 8.3).
 */
export function isLoopbackHost(host: string): boolean {
  return loopbackHost.test(host);
}
