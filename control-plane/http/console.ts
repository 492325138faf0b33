import type { OpenAPIHono } from "@hono/zod-openapi";
import { html, raw } from "hono/html";
import { consoleScript } from "./console-script.ts";
import type { MasterHono } from "./route-parts.ts";

/**
 * The operators' page. It is open to all, as it holds nothing: its script asks `/v1/admin` with the token of who signs in. The fields of the
 * form have no names, so that a browser that does not run the script has nothing to send. [CONSOLE-2]
 */
export function addConsoleRoutes(app: OpenAPIHono<MasterHono>): void {
  app.get("/console", (context) => {
    const nonce = crypto.randomUUID();
    const policy = [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
      "connect-src 'self'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ];
    context.header("content-security-policy", policy.join("; "));
    context.header("cross-origin-opener-policy", "same-origin");
    context.header("cross-origin-resource-policy", "same-origin");
    return context.html(renderConsole(nonce));
  });

  app.get("/console/script.js", (context) => {
    context.header("content-type", "text/javascript; charset=utf-8");
    context.header("cross-origin-resource-policy", "same-origin");
    return context.body(consoleScript);
  });
}

function renderConsole(nonce: string) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Sustenet console</title>
        <style nonce="${nonce}">
          ${raw(style)}
        </style>
        <script type="module" src="/console/script.js" nonce="${nonce}"></script>
      </head>
      <body>
        <h1>Sustenet console</h1>
        <form id="sign-in">
          <p>For operators. Sign in with an account that has the role, or with an access token.</p>
          <label>E-mail <input id="email" type="email" autocomplete="username" /></label>
          <label>Password <input id="password" type="password" autocomplete="current-password" /></label>
          <label>or access token <input id="token" type="password" autocomplete="off" /></label>
          <button>Sign in</button>
        </form>
        <p id="notice" role="alert"></p>
        <section id="overview" hidden>
          <p>
            <button id="refresh" type="button">Refresh</button>
            <button id="sign-out" type="button">Sign out</button>
          </p>
          <h2>Capacity</h2>
          <table id="capacity"></table>
          <h2>Clusters</h2>
          <table id="clusters"></table>
          <button id="more" type="button" hidden>More</button>
          <h2>Audit log, the newest first</h2>
          <table id="audit"></table>
        </section>
      </body>
    </html>`;
}

const style = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; }
  label { display: block; margin: 0.5rem 0; } input { min-width: 20rem; } #notice { color: #b00; }
  table { border-collapse: collapse; font: 13px/1.4 ui-monospace, monospace; }
  th, td { text-align: left; padding: 0.15rem 0.75rem 0.15rem 0; border-bottom: 1px solid #ddd; }
  [hidden] { display: none; }
  @media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b; } th, td { border-color: #444; } #notice { color: #f88; } }
`;
