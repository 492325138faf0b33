import { html, raw } from "hono/html";
import { type ProblemAdvice, problems } from "../../protocol/index.ts";
import type { ApiDescription } from "./openapi.ts";

/** A page to read, made of the OpenAPI document alone: no script, nothing fetched. */
export function renderDocsPage(api: ApiDescription, nonce: string) {
  const operations = Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ path, method, operation }];
    }),
  );
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${api.info.title}</title>
        <style nonce="${nonce}">
          ${raw(style)}
        </style>
      </head>
      <body>
        <h1>${api.info.title}</h1>
        <p>${api.info.description} <a href="/openapi.json">OpenAPI 3.1 document</a></p>
        ${(api.tags ?? []).map(
          (tag) => html`
            <h2>${tag.name}</h2>
            <p>${tag.description}</p>
            ${operations.filter(({ operation }) => operation.tags?.includes(tag.name)).map(renderOperation)}
          `,
        )}
        <h2>Errors</h2>
        <table>
          ${Object.entries(problems).map(
            ([code, { status, advice, title }]) =>
              html`<tr id="${code}">
                <th><code>${code}</code></th>
                <td>${status}</td>
                <td>${advices[advice]}</td>
                <td>${title}</td>
              </tr>`,
          )}
        </table>
        <h2>Schemas</h2>
        ${Object.entries(api.components?.schemas ?? {}).map(
          ([name, schema]) =>
            html`<details id="${name}">
              <summary><code>${name}</code></summary>
              <pre>${JSON.stringify(schema, null, 2)}</pre>
            </details>`,
        )}
      </body>
    </html>`;
}

/** What a caller does about an error. */
const advices: Readonly<Record<ProblemAdvice, string>> = {
  fix: "mend the request",
  retry: "wait and repeat it",
  login: "get a new token",
  stop: "give up",
};

const methods = ["get", "post", "delete"] as const;

type Operation = NonNullable<NonNullable<ApiDescription["paths"]>[string]["get"]>;

function renderOperation({ path, method, operation }: { path: string; method: string; operation: Operation }) {
  const { summary, description, security, requestBody, responses } = operation;
  return html`<details>
    <summary><code>${method.toUpperCase()} ${path}</code> ${summary}</summary>
    ${description === undefined ? "" : html`<p>${description}</p>`}
    ${security === undefined ? "" : html`<p>Needs: <code>${security.flatMap(Object.keys).join(", ")}</code></p>`}
    ${
      requestBody === undefined
        ? ""
        : html`<p>Body:</p>
            <pre>${JSON.stringify(requestBody, null, 2)}</pre>`
    }
    <table>
      ${Object.entries<{ description?: string }>(responses ?? {}).map(
        ([status, response]) =>
          html`<tr>
            <th>${status}</th>
            <td>${response.description}</td>
          </tr>`,
      )}
    </table>
  </details>`;
}

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
  code, pre { font: 14px/1.4 ui-monospace, monospace; }
  pre { background: #f4f4f4; padding: 0.75rem; overflow: auto; max-height: 24rem; }
  details { border-top: 1px solid #ddd; padding: 0.4rem 0; }
  summary { cursor: pointer; }
  table { border-spacing: 0; } th, td { text-align: left; vertical-align: top; padding: 0.15rem 0.75rem 0.15rem 0; }
  @media (prefers-color-scheme: dark) {
    body { color: #ddd; background: #1b1b1b; } pre { background: #262626; } details { border-color: #444; } a { color: #8cf; }
  }
`;
