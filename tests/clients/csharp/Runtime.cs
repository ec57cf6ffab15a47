// A runtime for Function.Handle that Mono can run: AWS's own is made for .NET, which no registry of the tests has.
using System;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Text;
using System.Threading;

public static class Runtime
{
    static readonly string Api =
        "http://" + Environment.GetEnvironmentVariable("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime";
    static readonly HttpClient Client =
        new HttpClient(new HttpClientHandler { UseProxy = false }) { Timeout = Timeout.InfiniteTimeSpan };

    public static int Main()
    {
        Function function;
        try
        {
            function = new Function();
        }
        catch (Exception raised)
        {
            Report("/init/error", Describe(raised));
            return 1;
        }
        while (true)
        {
            var invocation = Client.GetAsync(Api + "/invocation/next").GetAwaiter().GetResult();
            var path = "/invocation/" + invocation.Headers.GetValues("Lambda-Runtime-Aws-Request-Id").Single();
            var input = invocation.Content.ReadAsStreamAsync().GetAwaiter().GetResult();
            try
            {
                Report(path + "/response", function.Handle(input).GetAwaiter().GetResult());
            }
            catch (Exception raised)
            {
                Report(path + "/error", Describe(raised));
            }
        }
    }

    static void Report(string path, Stream body)
    {
        Client.PostAsync(Api + path, new StreamContent(body)).GetAwaiter().GetResult().Dispose();
    }

    static Stream Describe(Exception raised)
    {
        var text = raised.Message.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");
        return new MemoryStream(Encoding.UTF8.GetBytes("{\"errorMessage\": \"" + text + "\"}"));
    }
}
