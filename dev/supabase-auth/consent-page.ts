import type { FlowState } from "./flow-store.ts";

/** The page that stands for a provider's: who to be, and whether to agree. */
export function renderConsent(flow: FlowState, callbackUrl: string): string {
  const provider = escapeHtml(flow.provider);
  const action = escapeHtml(callbackUrl);
  const state = `<input type="hidden" name="state" value="${escapeHtml(flow.id)}">`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in with ${provider} (local stand-in)</title>
<style>body { font: 16px/1.5 system-ui; max-width: 28rem; margin: 4rem auto; padding: 0 1rem } input, button { font: inherit; padding: .4rem .8rem }</style>
<h1>Sign in with ${provider}</h1>
<p>This page stands for ${provider}, for development. The browser goes on to <code>${escapeHtml(flow.redirectTo)}</code>.</p>
<form action="${action}">${state}
<label>Sign in as <input type="email" name="code" value="player@example.com" required></label>
<button>Agree</button>
</form>
<form action="${action}">${state}
<input type="hidden" name="error" value="access_denied">
<input type="hidden" name="error_description" value="The user has denied access">
<button>Refuse</button>
</form>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
