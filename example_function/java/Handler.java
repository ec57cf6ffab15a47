import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;

/** Reads a secret from the cache: at start, and once more when it turns out to have been rotated. */
public class Handler implements RequestHandler<Map<String, Object>, Map<String, Object>> {
  private static final String SECRET_URL = "http://localhost:8080/cache/secret_now";
  private static final HttpClient CLIENT = HttpClient.newBuilder().proxy(HttpClient.Builder.NO_PROXY).build();

  private String password = readSecret("?key=password"); // the extension makes this wait until it is there

  @Override
  public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
    System.out.println("Response from cache: " + readSecret(""));
    if (event.containsKey("refused")) { // stands for a database that refuses the password: it was rotated
      password = readSecret("?key=password&refresh=true");
    }
    return Map.of("statusCode", 200, "passwordLength", password.length());
  }

  private static String readSecret(String query) {
    var request = HttpRequest.newBuilder(URI.create(SECRET_URL + query)).timeout(Duration.ofSeconds(10)).build();
    try {
      var response = CLIENT.send(request, BodyHandlers.ofString());
      if (response.statusCode() != 200) {
        throw new IllegalStateException(response.body()); // it says why
      }
      return response.body();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
