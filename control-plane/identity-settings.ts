import { isLoginMethod, type LoginMethod } from "../auth/providers/provider.ts";
import { isOAuthProviderName } from "../auth/providers/oauth-pkce.ts";
import type { EpicSettings } from "../auth/providers/epic.ts";
import type { SteamSettings } from "../auth/providers/steam.ts";
import { readOptionalText, readServiceUrl, readText, SettingError, type SettingSource } from "./settings.ts";

const addressProtocols = ["https:", "http:"];

/** The ways to log in that are switched on. @throws SettingError */
export function readLoginMethods(source: SettingSource): readonly LoginMethod[] {
  const names = readList(source, "IDENTITY_PROVIDERS");
  const methods = names.filter(isLoginMethod);
  if (methods.length === 0 || methods.length !== names.length) {
    throw new SettingError("IDENTITY_PROVIDERS", "a list of password, anonymous, supabase, oauth, steam and epic");
  }
  return methods;
}

/** For logins in the browser. @throws SettingError */
export function readOAuthSettings(source: SettingSource): {
  readonly providers: readonly string[];
  readonly redirectUrls: readonly string[];
} {
  const providers = readList(source, "OAUTH_PROVIDERS");
  if (!providers.every(isOAuthProviderName)) {
    throw new SettingError("OAUTH_PROVIDERS", "a list of providers as Supabase names them, like discord,google");
  }
  const redirectUrls = readList(source, "OAUTH_REDIRECT_URLS");
  if (!redirectUrls.every((address) => URL.canParse(address))) {
    throw new SettingError("OAUTH_REDIRECT_URLS", "a list of addresses, like https://game.example/done,mygame://login");
  }
  return { providers, redirectUrls };
}

/** @throws SettingError */
export function readSteamSettings(source: SettingSource): SteamSettings {
  const appId = readText(source, "STEAM_APP_ID", /^\d{1,10}$/, "the game's app id, a number");
  const flags = /^(?:true|false)$/;
  return {
    webApiKey: readText(source, "STEAM_WEB_API_KEY", /^[\x21-\x7e]+$/, "a publisher key of the Steam Web API"),
    appId: Number(appId),
    identity: readText(
      source,
      "STEAM_IDENTITY",
      /^[\x21-\x7e]{1,64}$/,
      "what the game passes to GetAuthTicketForWebApi",
    ),
    refuseVacBanned: (readOptionalText(source, "STEAM_REFUSE_VAC_BANNED", flags, "true or false") ?? "true") === "true",
    apiUrl: readOptionalUrl(source, "STEAM_API_URL"),
  };
}

/** @throws SettingError */
export function readEpicSettings(source: SettingSource): EpicSettings & { readonly keySetUrl: string | undefined } {
  const clientIds = readList(source, "EPIC_CLIENT_IDS");
  if (clientIds.length === 0) throw new SettingError("EPIC_CLIENT_IDS", "a list of the game's client ids at Epic");
  const issuers = readList(source, "EPIC_ISSUERS");
  return {
    clientIds,
    issuers: issuers.length === 0 ? undefined : issuers,
    keySetUrl: readOptionalUrl(source, "EPIC_JWKS_URL"),
  };
}

function readOptionalUrl(source: SettingSource, name: string): string | undefined {
  const isSet = readOptionalText(source, name, /^/, "a URL") !== undefined;
  return isSet ? readServiceUrl(source, name, addressProtocols) : undefined;
}

function readList(source: SettingSource, name: string): readonly string[] {
  const text = readOptionalText(source, name, /^[\x20-\x7e]{0,4096}$/, "a list, separated by commas") ?? "";
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}
