/** What a browser does with the address of a login, for tests: it agrees to be `email` at the stand-in's consent page. */
export async function agreeInBrowser(url: string, email: string): Promise<URL> {
  return submitConsent(url, { code: email });
}

/** As {@link agreeInBrowser}, but refuses. */
export async function refuseInBrowser(url: string): Promise<URL> {
  return submitConsent(url, { error: "access_denied", error_description: "The user has denied access" });
}

/** Follows the redirects by hand, and returns the address that the browser would end at. */
async function submitConsent(url: string, fields: Readonly<Record<string, string>>): Promise<URL> {
  const consent = await follow(url);
  const page = await (await fetch(consent)).text();
  const action = /<form action="([^"]+)"/.exec(page)?.[1];
  const state = /name="state" value="([^"]+)"/.exec(page)?.[1];
  if (action === undefined || state === undefined) throw new Error("the consent page has no form");
  return follow(`${action}?${new URLSearchParams({ state, ...fields }).toString()}`);
}

async function follow(url: string | URL): Promise<URL> {
  const answer = await fetch(url, { redirect: "manual" });
  const location = answer.headers.get("location");
  if (answer.status !== 302 || location === null) throw new Error(`${answer.status}: ${await answer.text()}`);
  return new URL(location);
}
