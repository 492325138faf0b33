import type { AuthAnswer, Project } from "./project.ts";

export const health: AuthAnswer = {
  status: 200,
  body: {
    version: "sustenet-stand-in",
    name: "GoTrue",
    description: "Local stand-in for Supabase Auth, for development and tests",
  },
};

/** `GET /settings`: what this project lets people do. */
export function describeSettings(project: Project): AuthAnswer {
  const { settings } = project;
  return {
    status: 200,
    body: {
      external: {
        anonymous_users: !settings.anonymousDisabled,
        email: true,
        phone: false,
        ...Object.fromEntries(settings.oauthProviders.map((provider) => [provider, true])),
      },
      disable_signup: settings.signupDisabled,
      mailer_autoconfirm: !settings.confirmEmail,
      phone_autoconfirm: false,
      sms_provider: "",
      saml_enabled: false,
    },
  };
}

/** `GET /.well-known/jwks.json`: the key that access tokens are signed with. */
export function describeKeySet(project: Project): AuthAnswer {
  return {
    status: 200,
    body: { keys: [project.key.publicJwk] },
    headers: { "cache-control": "public, max-age=600" },
  };
}
