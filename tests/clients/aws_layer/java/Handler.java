import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Map;
import java.util.regex.Pattern;

/** Asks AWS's layer with Java's own client, which offers an upgrade to HTTP/2 with its first request. */
public class Handler implements RequestHandler<Map<String, Object>, Map<String, String>> {
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  private final String secret = get("/secretsmanager/get?secretId=prod/api", "SecretString");

  @Override
  public Map<String, String> handleRequest(Map<String, Object> event, Context context) {
    return Map.of("secret", secret, "parameter", get("/systemsmanager/parameters/get?name=%2Fapp%2Fplain", "Value"));
  }

  private static String get(String target, String key) {
    var request =
        HttpRequest.newBuilder(URI.create("http://localhost:2773" + target))
            .header("X-Aws-Parameters-Secrets-Token", System.getenv("AWS_SESSION_TOKEN"))
            .build();
    try {
      var response = CLIENT.send(request, BodyHandlers.ofString());
      var found = Pattern.compile("\"" + key + "\":\"([^\"]*)\"").matcher(response.body());
      if (response.statusCode() != 200 || !found.find()) {
        throw new IllegalStateException(response.body());
      }
      return found.group(1);
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
