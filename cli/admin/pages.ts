import type { AdminApi } from "./admin-api.ts";
import type { AdminArguments } from "./arguments.ts";

/** The longest page that the master gives. */
const pageSize = 500;

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

/** The newest of a list, 50 unless `--limit` says how many, from as many pages as it takes. @throws AdminError */
export async function newest<T>(
  given: AdminArguments,
  path: string,
  name: string,
  query: Readonly<Record<string, string | undefined>>,
): Promise<readonly T[]> {
  const wanted = Math.max(1, given.count("limit") ?? 50);
  const items: T[] = [];
  type Page = { readonly next: string | null } & Readonly<Record<string, readonly T[] | string | null>>;
  const pages = everyPage<Page>(given.api(), path, { ...query, limit: String(Math.min(wanted, pageSize)) });
  for await (const page of pages) {
    const part = page[name];
    if (Array.isArray(part)) items.push(...part);
    if (items.length >= wanted) break;
  }
  return items.slice(0, wanted);
}
