import com.amazon.randomcutforest.RandomCutForest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * AWS's random cut forest behind the drivers' protocol: `RcfBench ROWS.f64 N_FEATURES N_ROWS_SCORED`. It fits once; then
 * for each line on standard input it scores the rows once and prints `nanoseconds checksum`.
 */
public final class RcfBench {
    /** Rows fed to the forest: its reservoirs of 256 have long settled, and feeding costs as much as scoring. */
    private static final int N_ROWS_FITTED = 4096;

    /** Passes before the first that counts: the virtual machine compiles the hot code meanwhile. */
    private static final int N_PASSES_WARM_UP = 5;

    private final RandomCutForest forest;
    private final float[][] rows;

    private RcfBench(float[][] rows, int nFeatures, int nScored) {
        // As many trees of as many rows as everybody here. Trees cache their bounding boxes (the fastest setting); no
        // threads of its own, because all are compared on one.
        forest = RandomCutForest.builder()
                .dimensions(nFeatures)
                .shingleSize(1)
                .numberOfTrees(100)
                .sampleSize(256)
                .randomSeed(42)
                .parallelExecutionEnabled(false)
                .boundingBoxCacheFraction(1.0)
                .build();
        for (int row = 0; row < Math.min(rows.length, N_ROWS_FITTED); row++) {
            forest.update(rows[row]);
        }
        this.rows = java.util.Arrays.copyOf(rows, Math.min(rows.length, nScored));
    }

    private double pass() {
        double sum = 0;
        for (float[] row : rows) {
            sum += forest.getAnomalyScore(row);
        }
        return sum;
    }

    private static float[][] read(Path file, int nFeatures) throws IOException {
        var values = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN).asDoubleBuffer();
        var rows = new float[values.remaining() / nFeatures][nFeatures];
        for (float[] row : rows) {
            for (int feature = 0; feature < nFeatures; feature++) {
                row[feature] = (float) values.get();
            }
        }
        return rows;
    }

    public static void main(String[] args) throws IOException {
        int nFeatures = Integer.parseInt(args[1]);
        var bench = new RcfBench(read(Path.of(args[0]), nFeatures), nFeatures, Integer.parseInt(args[2]));
        for (int pass = 0; pass < N_PASSES_WARM_UP; pass++) {
            bench.pass();
        }
        var in = new BufferedReader(new InputStreamReader(System.in));
        while (in.readLine() != null) {
            long began = System.nanoTime();
            double sum = bench.pass();
            System.out.println((System.nanoTime() - began) + " " + sum);
        }
    }
}
