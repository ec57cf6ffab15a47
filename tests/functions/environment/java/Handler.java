import java.util.Map;
import java.util.TreeMap;

/** A handler that tells what the language says of the environment. */
public class Handler {
  public Map<String, String> handleRequest(Map<String, Object> event) {
    Map<String, String> found = new TreeMap<>(System.getenv());
    found.keySet().removeIf(name -> !name.startsWith("X_"));
    return found;
  }
}
