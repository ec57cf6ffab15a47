// Read a secret from the cache: once while the function starts, and again in each invocation.
import http from "node:http";

const SECRET_URL = "http://localhost:8080/cache/secret_now";

const readSecret = () =>
  new Promise((resolve, reject) => {
    const request = http.get(SECRET_URL, { timeout: 10_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () => (response.statusCode === 200 ? resolve(body) : reject(new Error(body))));
    });
    request.on("timeout", () => request.destroy(new Error("no answer within 10 s")));
    request.on("error", reject);
  });

const atImport = await readSecret(); // the extension makes this wait until the secret is there

export const handler = async () => {
  const secret = await readSecret();
  console.log(`Response from cache: ${secret}`);
  return { statusCode: 200, unchanged: secret === atImport };
};
