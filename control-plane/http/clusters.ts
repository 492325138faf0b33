import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { claimedClusterIdentity } from "../../auth/cluster-assertion.ts";
import { fenceReasons, versions } from "../../protocol/index.ts";
import { linkReportSchema } from "../domain/clusters/report-schema.ts";
import { failpoint } from "../failpoint.ts";
import { createClusterId, homeShard, shardOfCluster } from "../domain/clusters/sharding.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { readMasterSettings, readStoreSettings } from "../settings.ts";
import { listClusters } from "./cluster-list.ts";
import { authenticateCluster } from "./cluster-token.ts";
import { bearerOf } from "./identity.ts";
import { ProblemError, problemOfRefusal } from "./problem.ts";
import {
  bodyProblems,
  clusterAssertionSecurity,
  clusterSessionSecurity,
  jsonAnswer,
  jsonBody,
  type MasterHono,
  problemAnswers,
} from "./route-parts.ts";
import {
  clusterListQuerySchema,
  clusterListSchema,
  drainSchema,
  heartbeatSchema,
  peerTicketSchema,
  registeredSchema,
  registerSchema,
  worldMapSchema,
} from "./schemas.ts";
import { grantPeerTicket } from "../objects/shard/peer-grant.ts";
import { keyRing, registryShard, worldMap } from "../objects/remote.ts";

const tags = ["Clusters"];
const params = z.object({ id: z.string().min(1).max(64) });
const sessionProblems = ["CLUSTER_SESSION_INVALID", "CLUSTER_FENCED"] as const;

const list = createRoute({
  method: "get",
  path: "/v1/clusters",
  tags: ["Players"],
  summary: "The clusters to choose from",
  request: { query: clusterListQuerySchema },
  responses: {
    200: jsonAnswer("Clusters, at most 1,000 a shard.", clusterListSchema),
    ...problemAnswers("INVALID_FIELD", "REGION_NOT_FOUND"),
  },
});

const register = createRoute({
  method: "post",
  path: "/v1/clusters/register",
  tags,
  summary: "Register a cluster process; an older one of the same key and instance is fenced off",
  security: clusterAssertionSecurity,
  request: jsonBody(registerSchema),
  responses: {
    200: jsonAnswer("Registered.", registeredSchema),
    ...problemAnswers(
      ...bodyProblems,
      "ASSERTION_INVALID",
      "ASSERTION_REPLAYED",
      "CLUSTER_KEY_UNKNOWN",
      "RATE_LIMITED",
      "TOO_MANY_REGIONS",
      "DATABASE_UNAVAILABLE",
    ),
  },
});

const link = createRoute({
  method: "get",
  path: "/v1/clusters/{id}/link",
  tags,
  summary: "The link: a WebSocket for pings, reports and commands",
  description:
    "Text `ping` is answered by `pong` and renews the lease. Other messages are JSON: see `LinkReport` of the heartbeat. The master ends it with 4001 when the process has to stop (reason `FENCED newer-process` or `FENCED key-ended`), with 4002 when it has to register again, with 4003 when a message was malformed.",
  security: clusterSessionSecurity,
  request: { params },
  responses: {
    101: { description: "Switching to WebSocket." },
    ...problemAnswers("UPGRADE_REQUIRED", ...sessionProblems),
  },
});

const requireSession: MiddlewareHandler<MasterHono> = async (context, next) => {
  await authenticateCluster(context.env, context.req.param("id") ?? "", bearerOf(context));
  await next();
};

const heartbeat = createRoute({
  method: "post",
  path: "/v1/clusters/{id}/heartbeat",
  tags,
  summary: "Report over HTTPS while the link is down",
  security: clusterSessionSecurity,
  // Before the body is parsed and looked at: a report is long.
  middleware: requireSession,
  request: { params, ...jsonBody(linkReportSchema) },
  responses: {
    200: jsonAnswer("The acknowledgement and the commands that are due.", heartbeatSchema),
    ...problemAnswers(...bodyProblems, ...sessionProblems, "RATE_LIMITED"),
  },
});

const drain = createRoute({
  method: "post",
  path: "/v1/clusters/{id}/drain",
  tags,
  summary: "The process is about to end: send nobody there, and let others take its players over",
  description:
    "Others that can carry its fragments of a shared world do so from now on, and it hands its players over, then deregisters. Holds for this registration; saying it again changes nothing.",
  security: clusterSessionSecurity,
  request: { params, ...jsonBody(drainSchema) },
  responses: { 204: { description: "Done." }, ...problemAnswers(...bodyProblems, ...sessionProblems) },
});

const deregister = createRoute({
  method: "delete",
  path: "/v1/clusters/{id}",
  tags,
  summary: "The process stops: offer it to nobody",
  security: clusterSessionSecurity,
  request: { params },
  responses: { 204: { description: "Done." }, ...problemAnswers(...sessionProblems) },
});

const world = createRoute({
  method: "get",
  path: "/v1/clusters/{id}/world",
  tags,
  summary: "The map of the cluster's world: who carries which fragment",
  description: "Say the version that you have in If-None-Match, as the ETag had it, and nothing is sent again.",
  security: clusterSessionSecurity,
  request: { params, headers: z.object({ "if-none-match": z.string().max(64).optional() }) },
  responses: {
    200: jsonAnswer("The map.", worldMapSchema),
    304: { description: "Nothing has changed." },
    ...problemAnswers("NOT_FOUND", ...sessionProblems),
  },
});

const peerTicket = createRoute({
  method: "post",
  path: "/v1/clusters/{id}/peer-tickets",
  tags,
  summary: "A ticket with which to open a link to another cluster of the world",
  description:
    "Only to a cluster that carries something and takes peers. Short-lived; see docs/HANDOVER.md, section 15.",
  security: clusterSessionSecurity,
  request: {
    params,
    ...jsonBody(z.strictObject({ clusterId: z.string().min(1).max(64) }).openapi("PeerTicketRequest")),
  },
  responses: {
    200: jsonAnswer("The ticket.", peerTicketSchema),
    ...problemAnswers(...bodyProblems, "CLUSTER_NOT_FOUND", ...sessionProblems),
  },
});

export function addClusterRoutes(app: OpenAPIHono<MasterHono>): void {
  app.openapi(list, async (context) => {
    const { region } = context.req.valid("query");
    return context.json({ clusters: await listClusters(context.env, region) }, 200);
  });

  app.openapi(register, async (context) => {
    const details = context.req.valid("json");
    if (
      details.protocol.min > versions.max ||
      details.protocol.max < versions.min ||
      details.protocol.min > details.protocol.max
    ) {
      const message = `Expected a range that includes a version from ${versions.min} to ${versions.max}.`;
      throw new ProblemError("INVALID_FIELD", `protocol: ${message}`, { errors: [{ field: "protocol", message }] });
    }
    const settings = readMasterSettings(context.env);
    readStoreSettings(context.env);
    const assertion = bearerOf(context);
    const claimed = assertion === undefined ? undefined : claimedClusterIdentity(assertion);
    if (assertion === undefined || claimed === undefined || claimed.keyId.length > 64) {
      throw new ProblemError(
        "ASSERTION_INVALID",
        "Send an assertion, signed with the cluster's key, as Authorization: Bearer.",
      );
    }
    const clusterId = await createClusterId(details.region, claimed.keyId, details.instance);
    const shard = shardOfCluster(settings.shards, clusterId);
    if (shard === undefined) throw new Error("a cluster id has a shard");
    const { keyId } = claimed;
    const registration = { shard, clusterId, keyId, assertion, details };
    const isBrought = !Object.hasOwn(settings.shards.regions, details.region);
    if (isBrought) {
      const home = registryShard(context.env, homeShard(settings.shards));
      const admitted = await withDeadline(home.admitRegion(registration), objectCallTimeoutMs, "the home shard");
      if (!admitted.ok) throw problemOfRefusal(admitted);
      failpoint("register.admitted");
    }
    const answer = await withDeadline(
      registryShard(context.env, shard).register({ ...registration, admitted: isBrought }),
      objectCallTimeoutMs,
      "a registry shard",
    );
    if (!answer.ok) throw problemOfRefusal(answer);
    const jwks = await withDeadline(keyRing(context.env).publishedKeys(), objectCallTimeoutMs, "the key ring");
    const { masterUrl: issuer, gameId: game, leaseMs, pingIntervalMs, reportIntervalMs } = settings;
    const { boot, sessionToken } = answer;
    return context.json(
      {
        clusterId,
        boot,
        sessionToken,
        issuer,
        game,
        leaseMs,
        pingIntervalMs,
        reportIntervalMs,
        takesParts: true,
        takesMail: true,
        jwks: { keys: [...jwks.keys] },
      },
      200,
    );
  });

  app.openapi(link, async (context) => {
    if (context.req.header("upgrade")?.toLowerCase() !== "websocket") {
      throw new ProblemError("UPGRADE_REQUIRED", "Open this address as a WebSocket.");
    }
    const { id } = context.req.valid("param");
    const { token, shard } = await authenticateCluster(context.env, id, bearerOf(context));
    const response = await shard.fetch("https://shard/link", {
      headers: { upgrade: "websocket", "x-cluster-id": id, "x-session-token": token },
    });
    if (response.status === 101) return response;
    throw problemOfRefusal(refusalSchema.parse(await response.json()));
  });

  app.openapi(world, async (context) => {
    const { id } = context.req.valid("param");
    const { token, shard } = await authenticateCluster(context.env, id, bearerOf(context));
    const found = await withDeadline(shard.worldOf(id, token), objectCallTimeoutMs, "a registry shard");
    if (!found.ok) throw problemOfRefusal(found);
    if (found.world === "")
      throw new ProblemError("NOT_FOUND", "This cluster has not named a world in its registration.");
    const map = await withDeadline(
      worldMap(context.env, found.world).map(found.world),
      objectCallTimeoutMs,
      "the map of a world",
    );
    const etag = `"${map.version}"`;
    context.header("etag", etag);
    if (context.req.valid("header")["if-none-match"] === etag) return context.body(null, 304);
    return context.json(map, 200);
  });

  app.openapi(peerTicket, async (context) => {
    const { id } = context.req.valid("param");
    const { clusterId } = context.req.valid("json");
    const { token, shard } = await authenticateCluster(context.env, id, bearerOf(context));
    const found = await withDeadline(shard.worldOf(id, token), objectCallTimeoutMs, "a registry shard");
    if (!found.ok) throw problemOfRefusal(found);
    const grant = await grantPeerTicket(context.env, { clusterId: id, boot: found.boot }, found.world, clusterId);
    if (grant === undefined) {
      throw new ProblemError(
        "CLUSTER_NOT_FOUND",
        `No cluster ${clusterId} of your world carries anything and takes peers.`,
      );
    }
    return context.json(grant, 200);
  });

  app.openapi(heartbeat, async (context) => {
    const { id } = context.req.valid("param");
    const { token, shard } = await authenticateCluster(context.env, id, bearerOf(context));
    const answer = await withDeadline(
      shard.heartbeat(id, token, context.req.valid("json")),
      objectCallTimeoutMs,
      "a registry shard",
    );
    if (!answer.ok) throw problemOfRefusal(answer);
    return context.json({ commands: [...answer.response.commands] }, 200);
  });

  app.openapi(drain, async (context) => {
    const { id } = context.req.valid("param");
    const { deadlineMs } = context.req.valid("json");
    const { token, shard } = await authenticateCluster(context.env, id, bearerOf(context));
    const answer = await withDeadline(shard.drain(id, token, deadlineMs), objectCallTimeoutMs, "a registry shard");
    if (!answer.ok) throw problemOfRefusal(answer);
    return context.body(null, 204);
  });

  app.openapi(deregister, async (context) => {
    const { id } = context.req.valid("param");
    const { token, shard } = await authenticateCluster(context.env, id, bearerOf(context));
    const answer = await withDeadline(shard.deregister(id, token), objectCallTimeoutMs, "a registry shard");
    if (!answer.ok) throw problemOfRefusal(answer);
    return context.body(null, 204);
  });
}

const refusalSchema = z.object({
  code: z.enum(["CLUSTER_SESSION_INVALID", "CLUSTER_FENCED"]),
  detail: z.string(),
  fencedBy: z.enum(fenceReasons).optional(),
});
