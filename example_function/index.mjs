// Read a secret from the cache: at import, and once more when it turns out to have been rotated.
const SECRET_URL = "http://localhost:8080/cache/secret_now";

async function readSecret(query = "") {
  // fetch asks no proxy, unless NODE_USE_ENV_PROXY is set: then put localhost into NO_PROXY.
  const response = await fetch(SECRET_URL + query, { signal: AbortSignal.timeout(10_000) });
  const body = await response.text();
  if (!response.ok) throw new Error(body); // it says why
  return body;
}

let password = await readSecret("?key=password"); // the extension makes this wait until the secret is there

export const handler = async (event) => {
  console.log(`Response from cache: ${await readSecret()}`);
  if (event.refused) {
    // stands for a database that refuses the password: it was rotated
    password = await readSecret("?key=password&refresh=true");
  }
  return { statusCode: 200, passwordLength: password.length };
};
