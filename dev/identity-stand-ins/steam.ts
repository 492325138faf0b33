import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { HttpReply, HttpRequest } from "../libsql/http-listener.ts";
import { htmlReply, jsonReply, startJsonListener } from "./json-listener.ts";

const ticketSchema = z.object({
  /** 64-bit id, in decimal. */
  steamId: z.string().regex(/^\d{17}$/),
  /** The app that it was made in; default the game's. */
  appId: z.number().optional(),
  /** What was passed to `GetAuthTicketForWebApi`. */
  identity: z.string().optional(),
  vacBanned: z.boolean().default(false),
  publisherBanned: z.boolean().default(false),
});

/** A ticket as the game's client would get one. */
export type SteamTicket = z.input<typeof ticketSchema>;

export interface SteamWebApi {
  /** As `STEAM_API_URL`. */
  readonly url: string;
  /** Makes a ticket, hexadecimal. Also: `POST /stand-in/tickets`. */
  createTicket(ticket: SteamTicket): string;
  close(): Promise<void>;
}

const path = "/ISteamUserAuth/AuthenticateUserTicket/v1/";

/**
 * Starts a stand-in for Steam's Web API, as far as a login needs it: `ISteamUserAuth/AuthenticateUserTicket`, version 1, of a
 * publisher with one key and one game.
 */
export async function startSteamWebApi(options: {
  readonly webApiKey: string;
  readonly appId: number;
  readonly port?: number;
}): Promise<SteamWebApi> {
  const tickets = new Map<string, z.output<typeof ticketSchema>>();
  const createTicket = (ticket: SteamTicket): string => {
    const hex = randomBytes(234).toString("hex");
    tickets.set(hex, ticketSchema.parse(ticket));
    return hex;
  };

  const authenticate = (request: HttpRequest): HttpReply => {
    const { searchParams } = request.url;
    const key = request.headers["x-webapi-key"] ?? searchParams.get("key");
    if (key !== options.webApiKey) {
      const text = "Access is denied. Retrying will not help. Please verify your <pre>key=</pre> parameter.";
      return htmlReply(403, "Forbidden", text);
    }
    for (const name of ["appid", "ticket"]) {
      if ((searchParams.get(name) ?? "") === "") {
        return htmlReply(400, "Bad Request", `Please verify that all required parameters are being sent: ${name}`);
      }
    }
    if (searchParams.get("appid") !== String(options.appId)) return htmlReply(403, "Forbidden", "Access is denied.");
    const ticket = tickets.get(searchParams.get("ticket")?.toLowerCase() ?? "");
    if (ticket === undefined) return refusal(101, "Invalid ticket");
    if ((ticket.appId ?? options.appId) !== options.appId) return refusal(102, "Ticket for other app");
    const identity = searchParams.get("identity");
    if (identity !== null && identity !== ticket.identity) return refusal(101, "Invalid ticket");
    const { steamId, vacBanned, publisherBanned } = ticket;
    const banned = { vacbanned: vacBanned, publisherbanned: publisherBanned };
    return jsonReply({ response: { params: { result: "OK", steamid: steamId, ownersteamid: steamId, ...banned } } });
  };

  const listener = await startJsonListener("the local Steam Web API", options.port, (request) => {
    if (request.method === "GET" && request.url.pathname === path) return authenticate(request);
    if (request.method === "POST" && request.url.pathname === "/stand-in/tickets") {
      const ticket = ticketSchema.safeParse(JSON.parse(request.body.toString()));
      if (!ticket.success) return jsonReply({ error: ticket.error.message }, 400);
      return jsonReply({ ticket: createTicket(ticket.data) });
    }
    return htmlReply(404, "Not Found", "Not found");
  });
  return { url: listener.url, createTicket, close: () => listener.close() };
}

function refusal(errorcode: number, errordesc: string): HttpReply {
  return jsonReply({ response: { error: { errorcode, errordesc } } });
}
