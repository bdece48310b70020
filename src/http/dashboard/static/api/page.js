// The REST interface, to read and to try: draws the server's own OpenAPI document.
//
// The drawing is Swagger UI's (npm swagger-ui-dist 5.35.0, unchanged, in vendor/swagger-ui). What is tried goes to this server and to no other, with the
// token of this page's session, if there is one.

import { get, ROOT } from "../shared/api.js";
import { byId } from "../shared/dom.js";
import { token } from "../shared/session.js";
import { complain, shell } from "../shared/shell.js";
import { nameParts } from "./names.js";

const client = shell({ page: "api" });
// For the count in the header. Not violations themselves: nobody sees them here.
client.subscribe({ all: true, filter: { types: ["episode", "violation_update", "ack_update"] } });
client.start();

document.addEventListener("themechange", followTheme);
followTheme();
nameParts(byId("document"));
draw().catch(complain);

async function draw() {
  const document = await get("openapi.json");
  // The document says "/", and does not know of a proxy that serves Andon below a path of its own.
  const spec = { ...document, servers: [{ url: ROOT.href.replace(/\/$/, "") }] };
  window.SwaggerUIBundle({
    spec,
    domNode: byId("document"),
    deepLinking: true, // `#/samples/record_sample` opens that call
    validatorUrl: null, // the validator is another host's
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    filter: true,
    displayRequestDuration: true,
    syntaxHighlight: { theme: "tomorrow-night" },
    plugins: [forEverybody],
    requestInterceptor: withToken,
    showMutatedRequest: false, // the curl command would show the token
  });
}

/** What the vendored drawing leaves to be desired for who listens to the page, or has no mouse. */
const forEverybody = ({ React }) => ({
  // The title of a call is a button already, and a link within it is none of its own.
  components: { DeepLink: ({ text }) => React.createElement("span", {}, text) },
  wrapComponents: {
    TextArea: (Original) => (props) => React.createElement(Original, { "aria-label": "Request body", ...props }),
  },
});

/** @param {{ url: string, headers: Record<string, string> }} request */
function withToken(request) {
  const isOurs = new URL(request.url, ROOT).origin === ROOT.origin;
  const isSaid = Object.keys(request.headers).some((name) => name.toLowerCase() === "authorization");
  if (isOurs && !isSaid && token()) request.headers.Authorization = `Bearer ${token()}`;
  return request;
}

/** Swagger UI is dark where the document's element has this class. */
function followTheme() {
  const { theme } = document.documentElement.dataset;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark-mode", isDark);
}
