// A real OpenID provider on this machine: npm oidc-provider. It prints its issuer, then waits.
// node openid_provider.mjs PORT [KEYS.json]  — KEYS: {"keys": [private JWK, …]}; without it the provider's own test keys.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const keys = process.argv[3] ? JSON.parse(readFileSync(process.argv[3], 'utf8')) : undefined;
const redirect = 'https://app.example.com/callback';
const code = { redirect_uris: [redirect], grant_types: ['authorization_code'] };
const machine = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };

const provider = new Provider(issuer, {
  jwks: keys,
  clients: [
    { ...code, client_id: 'mobile', client_secret: 'mobile secret:%', token_endpoint_auth_method: 'client_secret_basic' },
    { ...code, client_id: 'mobile-post', client_secret: 'post secret', token_endpoint_auth_method: 'client_secret_post' },
    { ...code, client_id: 'mobile-es', client_secret: 'es secret', id_token_signed_response_alg: 'ES256' },
    { ...machine, client_id: 'bank-back-end', client_secret: 'machine secret' },
    { ...machine, client_id: 'nobody', client_secret: 'machine secret' },
    { ...machine, client_id: 'root', client_secret: 'machine secret' },
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
  conformIdTokenClaims: false,
  claims: { openid: ['sub', 'customer'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, customer: `customer-${id}` }) }),
  ttl: { ClientCredentials: 300, AccessToken: 300, IdToken: 300, AuthorizationCode: 60, Grant: 300, Session: 300, Interaction: 300 },
  pkce: { required: (_, client) => client.clientId === 'mobile' },
  cookies: { keys: ['a test needs no secret'] },
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => ({
        scope: 'call',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(port, '127.0.0.1', () => console.log(issuer));
