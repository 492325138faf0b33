import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MasterHono } from "./route-parts.ts";

export type ApiDescription = ReturnType<OpenAPIHono<MasterHono>["getOpenAPI31Document"]>;

const descriptions = new WeakMap<object, ApiDescription>();

/** The OpenAPI 3.1 document of the routes that `app` has. */
export function describeApi(app: OpenAPIHono<MasterHono>, serverUrl: string): ApiDescription {
  let description = descriptions.get(app);
  if (description === undefined) {
    description = app.getOpenAPI31Document({
      openapi: "3.1.0",
      info: {
        title: "Sustenet master",
        version: "1",
        license: { name: "MIT" },
        description:
          "Log in, get a seat on a cluster, join it with a signed ticket. Errors are RFC 9457 problems; `code` says what happened, and /docs what to do about it.",
      },
      tags: [
        { name: "Players", description: "What a game client calls." },
        { name: "Parties", description: "What players who want to be on one cluster together call." },
        { name: "Clusters", description: "What a cluster process calls." },
        { name: "Operators", description: "What operators call: every change is written to the audit log first." },
        { name: "Public", description: "What anybody may read." },
      ],
    });
    description.components = { ...description.components, securitySchemes };
    descriptions.set(app, description);
  }
  return { ...description, servers: [{ url: serverUrl }] };
}

const securitySchemes = {
  player: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "The access token of POST /v1/login.",
  },
  operator: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "The access token of an account whose app_metadata has the role operator.",
  },
  clusterAssertion: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description:
      "A JWT of type sustenet-cluster+jwt, signed with the cluster's enrolled Ed25519 key: iss and sub its thumbprint, inst the instance name, aud this master, at most 60 s of life. Serves once.",
  },
  clusterSession: { type: "http", scheme: "bearer", description: "The sessionToken of the registration." },
} as const;
