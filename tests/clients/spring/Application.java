package example;

import java.nio.file.Files;
import java.nio.file.Path;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Writes the password that Spring found to the file that its argument names. */
@SpringBootApplication
public class Application {
  public static void main(String[] arguments) throws Exception {
    var environment = SpringApplication.run(Application.class).getEnvironment();
    Files.writeString(Path.of(arguments[0]), environment.getRequiredProperty("spring.datasource.password"));
  }
}
