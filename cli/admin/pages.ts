import type { AdminApi } from "./admin-api.ts";

/** Every item of a list that comes in pages, in order. @throws AdminError */
export async function* everyPage<P extends { readonly next: string | null }>(
  api: AdminApi,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): AsyncGenerator<P> {
  for (let cursor: string | null | undefined; cursor !== null;) {
    const given = Object.entries({ ...query, cursor }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as [string, string]],
    );
    const page: P = await api.call<P>("GET", `${path}?${new URLSearchParams(given).toString()}`);
    yield page;
    cursor = page.next;
  }
}
