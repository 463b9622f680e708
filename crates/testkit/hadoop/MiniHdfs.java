import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/**
 * An HDFS of one NameNode and one DataNode on loopback, in the directory that is the first argument. The others are settings,
 * `name=value`. Writes the two HTTP ports into the file `ports` there once both serve.
 */
public class MiniHdfs {
    public static void main(String[] args) throws Exception {
        Configuration settings = new Configuration();
        for (int at = 1; at < args.length; at++) {
            String[] setting = args[at].split("=", 2);
            settings.set(setting[0], setting[1]);
        }
        File data = new File(args[0], "data");
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(settings, data).numDataNodes(1).build();
        cluster.waitActive();
        int name = cluster.getNameNode().getHttpAddress().getPort();
        int node = cluster.getDataNodes().get(0).getInfoPort();
        Path whole = Path.of(args[0], "ports.new");
        Files.writeString(whole, name + " " + node + "\n");
        Files.move(whole, Path.of(args[0], "ports"), StandardCopyOption.ATOMIC_MOVE);
        Thread.currentThread().join();
    }
}
