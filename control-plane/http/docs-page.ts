import { html, raw } from "hono/html";
import { type ProblemAdvice, problems } from "../../protocol/index.ts";
import type { ApiDescription } from "./openapi.ts";
import { remarkOf, type SchemaNode, shapeOf } from "./schema-shape.ts";

/** The OpenAPI document as the page reads it. */
interface Api {
  readonly info: { readonly title: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: {
    readonly schemas?: Readonly<Record<string, SchemaNode>>;
    readonly securitySchemes?: Readonly<Record<string, { readonly description?: string }>>;
  };
}

interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: SchemaNode;
}

type Schemas = Readonly<Record<string, SchemaNode>>;
type Content = Readonly<Record<string, { readonly schema?: SchemaNode }>>;

/** A page to read, made of the OpenAPI document alone: no script, nothing fetched. */
export function renderDocsPage(description: ApiDescription, nonce: string) {
  const api: Api = JSON.parse(JSON.stringify(description));
  const schemas = api.components?.schemas ?? {};
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
        <p>${renderText(api.info.description ?? "")} <a href="/openapi.json">OpenAPI 3.1 document</a></p>
        ${(api.tags ?? []).map(
          (tag) => html`
            <h2>${tag.name}</h2>
            <p>${tag.description}</p>
            ${operations.filter(({ operation }) => operation.tags?.includes(tag.name)).map((each) => renderOperation(each, schemas))}
          `,
        )}
        <h2 id="security">Tokens</h2>
        <table>
          ${Object.entries(api.components?.securitySchemes ?? {}).map(
            ([name, scheme]) =>
              html`<tr>
                <th><code>${name}</code></th>
                <td>${scheme.description}</td>
              </tr>`,
          )}
        </table>
        <h2>Errors</h2>
        <p>
          Every error is a <a href="#Problem">Problem</a>, <code>application/problem+json</code>; programs go by its
          <code>code</code>.
        </p>
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
        ${Object.entries(schemas).map(
          ([name, schema]) =>
            html`<details id="${name}">
              <summary><code>${name}</code></summary>
              ${renderShape(schema)}
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

const methods = ["get", "post", "put", "patch", "delete"] as const;

function renderOperation(
  { path, method, operation }: { path: string; method: string; operation: Operation },
  schemas: Schemas,
) {
  const { summary, description, security, parameters = [], requestBody, responses = {} } = operation;
  const body = schemaOf(requestBody?.content);
  return html`<details id="${method}-${path}">
    <summary><code>${method.toUpperCase()} ${path}</code> ${summary}</summary>
    ${description === undefined ? "" : html`<p>${renderText(description)}</p>`}
    ${
      security === undefined
        ? ""
        : html`<p>
            Header <code>Authorization: Bearer …</code>, of <code>${security.flatMap(Object.keys).join(", ")}</code>:
            <a href="#security">which token that is</a>
          </p>`
    }
    ${
      parameters.length === 0
        ? ""
        : html`<h4>Parameters</h4>
            <table>
              ${parameters.map(renderParameter)}
            </table>`
    }
    ${
      body === undefined
        ? ""
        : html`<h4>Body</h4>
            ${renderNamedShape(body, schemas)}`
    }
    <h4>Answers</h4>
    ${Object.entries(responses).map(
      ([status, response]) =>
        html`<p><strong>${status}</strong> ${renderText(response.description ?? "")}</p>
          ${renderAnswer(response.content, schemas)}`,
    )}
  </details>`;
}

function renderParameter({ name, in: place, required, description, schema = {} }: Parameter) {
  const remark = [remarkOf({ ...schema, description: "" }), description ?? schema.description ?? ""];
  return html`<tr>
    <th><code>${name}</code></th>
    <td>${place}</td>
    <td>${required === true ? "required" : "optional"}</td>
    <td><code>${renderPieces(schema)}</code></td>
    <td>${remark.filter((part) => part !== "").join("; ")}</td>
  </tr>`;
}

/** A problem has the same shape everywhere. */
function renderAnswer(content: Content | undefined, schemas: Schemas) {
  const schema = content?.["application/problem+json"] === undefined ? schemaOf(content) : undefined;
  return schema === undefined ? "" : renderNamedShape(schema, schemas);
}

function schemaOf(content: Content | undefined): SchemaNode | undefined {
  return Object.values(content ?? {})[0]?.schema;
}

/** A shape with a name is shown with it, here and among the schemas. */
function renderNamedShape(schema: SchemaNode, schemas: Schemas) {
  const name = schema.$ref?.slice(schema.$ref.lastIndexOf("/") + 1);
  const named = name === undefined ? undefined : schemas[name];
  return named === undefined
    ? renderShape(schema)
    : html`<pre><a href="#${name}">${name}</a> ${renderPieces(named)}</pre>`;
}

/** Text in which backticks set off code; codes of errors lead to their explanation. */
function renderText(text: string) {
  return text.split("`").map((part, index) => {
    if (index % 2 === 0) return html`${part}`;
    return Object.hasOwn(problems, part)
      ? html`<a href="#${part}"><code>${part}</code></a>`
      : html`<code>${part}</code>`;
  });
}

function renderShape(schema: SchemaNode) {
  return html`<pre>${renderPieces(schema)}</pre>`;
}

function renderPieces(schema: SchemaNode) {
  return shapeOf(schema).map((piece) =>
    typeof piece === "string" ? html`${piece}` : html`<a href="#${piece.schema}">${piece.schema}</a>`,
  );
}

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
  code, pre { font: 14px/1.4 ui-monospace, monospace; }
  pre { background: #f4f4f4; padding: 0.75rem; overflow: auto; max-height: 24rem; }
  details { border-top: 1px solid #ddd; padding: 0.4rem 0; }
  summary { cursor: pointer; } h4 { margin: 0.75rem 0 0.25rem; }
  table { border-spacing: 0; } th, td { text-align: left; vertical-align: top; padding: 0.15rem 0.75rem 0.15rem 0; }
  @media (prefers-color-scheme: dark) {
    body { color: #ddd; background: #1b1b1b; } pre { background: #262626; } details { border-color: #444; } a { color: #8cf; }
  }
`;
