// Kept out of index.html so that the page works under a Content-Security-Policy without inline script.
const documents = { internal: "/powerauth-cloud/v3/api-docs", public: "/powerauth-cloud/v3/api-docs/public" };
const wanted = new URLSearchParams(location.search).get("listener");
SwaggerUIBundle({
  url: documents[wanted] || documents.internal,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
