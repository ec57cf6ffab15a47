// Asks AWS's layer as Node.js does: the secret with fetch, the parameter with node:http.
import http from "node:http";

const headers = { "X-Aws-Parameters-Secrets-Token": process.env.AWS_SESSION_TOKEN };

// At import: AWS's layer is not ready by then.
const response = await fetch(`http://localhost:2773/secretsmanager/get?secretId=${encodeURIComponent("prod/api")}`, { headers });
if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
const { SecretString: secret } = await response.json();

function getParameter(name) {
  const path = `/systemsmanager/parameters/get?name=${encodeURIComponent(name)}`;
  return new Promise((resolve, reject) => {
    http
      .get("http://localhost:2773" + path, { headers }, (answer) => {
        let body = "";
        answer.on("data", (chunk) => (body += chunk));
        answer.on("end", () => (answer.statusCode === 200 ? resolve(JSON.parse(body).Parameter.Value) : reject(new Error(body))));
      })
      .on("error", reject);
  });
}

export const handler = async () => ({ secret, parameter: await getParameter("/app/plain") });
