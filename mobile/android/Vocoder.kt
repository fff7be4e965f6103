/** Neural vocoders for Android and other Javas, over libpyvoc.so (docs/mobile.md). */
package pyvoc

import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer

/**
 * The library refused something; [message] is its sentence.
 *
 * @property code `PYVOC_ERROR_*` of pyvoc.h, 1 to 10: 2 is a damaged model, 3 features that do not
 *   fit, 5 what this build or machine does not do, 8 an object that another thread uses.
 */
class VocoderException(val code: Int, message: String) : RuntimeException(message)

/**
 * What a model is.
 *
 * @property family `fargan`, `lpcnet`, ...
 * @property precision `f32`, `bf16` or `int8`
 * @property featureLayout what its features are, `opus20`, ...
 * @property sampleRate Hz
 * @property hopLength samples per frame
 * @property featureDims floats per frame
 * @property lookaheadFrames frames beyond the one being heard
 * @property latencySamples by which a stream's samples lie behind its frames
 */
data class ModelInfo(
    val family: String,
    val precision: String,
    val featureLayout: String,
    val sampleRate: Int,
    val hopLength: Int,
    val featureDims: Int,
    val lookaheadFrames: Int,
    val latencySamples: Int
)

/** A model in memory. Any number of threads may use it; what it opened may outlive it. */
class Vocoder private constructor(handle: Long) : Handle(handle, Native::modelRelease) {
    val info: ModelInfo = IntArray(5).let { n ->
        val (family, precision, layout) = Native.modelInfo(alive(), n).split(" ")
        ModelInfo(family, precision, layout, n[0], n[1], n[2], n[3], n[4])
    }

    /** Frames in, samples out. [capacity] frames may wait to be heard. */
    fun stream(seed: Long = 0, threads: Int = 1, capacity: Int = 64): Stream =
        Stream(Native.streamOpen(alive(), seed, threads, capacity), info.featureDims)

    /** The model's features of sound at [ModelInfo.sampleRate]. */
    fun extractor(): Extractor = Extractor(Native.extractorOpen(alive()))

    /** Microphone to loudspeaker; rates in Hz, [pitch] and [formant] in semitones. */
    fun live(
        inputRate: Int,
        outputRate: Int,
        pitch: Float = 0f,
        formant: Float = 0f,
        seed: Long = 0
    ): LivePath = LivePath(Native.pathOpen(alive(), inputRate, outputRate, pitch, formant, seed))

    /** Speech, `frames * hopLength` samples, of all frames `[frames, dims]`. */
    fun synthesize(
        features: FloatArray,
        dims: Int = info.featureDims,
        seed: Long = 0,
        threads: Int = 1
    ): FloatArray {
        require(features.size % dims == 0) { "${features.size} floats are no frames of $dims" }
        val frames = features.size / dims
        stream(seed, threads, maxOf(frames, 1)).use { stream ->
            stream.push(features, dims)
            stream.flush()
            val samples = FloatArray(frames * info.hopLength)
            return samples.copyOf(stream.pull(samples))
        }
    }

    /** Features of a whole recording at [ModelInfo.sampleRate], `[frames, dims]`, and dims. */
    fun features(pcm: FloatArray): Pair<FloatArray, Int> =
        extractor().use { Pair(it.push(pcm) + it.flush(), it.dims) }

    companion object {
        /** Of the library. */
        val version: String get() = Native.version()

        /** A model file. */
        @JvmStatic
        fun load(file: File): Vocoder = Vocoder(Native.modelLoad(file.path))

        /** A model in memory: an asset that was mapped or read. It is not needed afterwards. */
        @JvmStatic
        fun load(bytes: ByteBuffer): Vocoder {
            // The position of a direct buffer is not in its address: a slice begins there.
            val direct = if (bytes.isDirect) bytes.slice() else
                ByteBuffer.allocateDirect(bytes.remaining()).apply { put(bytes.duplicate()) }
            return Vocoder(Native.modelLoadMemory(direct, direct.capacity()))
        }

        /** The same of an array. */
        @JvmStatic
        fun load(bytes: ByteArray): Vocoder = load(ByteBuffer.wrap(bytes))
    }
}

/** Frames in, samples out, in any pieces. One thread at a time. [push] and [pull] allocate nothing. */
class Stream internal constructor(handle: Long, private val featureDims: Int) :
    Handle(handle, Native::streamClose) {
    /** Samples that [pull] can give now. */
    val available: Int get() = Native.streamAvailable(alive())

    /**
     * [n] frames from frame [from] on, of which each has [dims] floats and the model reads the first
     * [ModelInfo.featureDims]; all of them or, with an exception, none.
     */
    fun push(
        frames: FloatArray,
        dims: Int = featureDims,
        from: Int = 0,
        n: Int = frames.size / dims - from
    ) {
        require(dims >= featureDims) { "frames of $dims floats, the model reads $featureDims" }
        require(from >= 0 && n >= 0 && (from.toLong() + n) * dims <= frames.size) {
            "$n frames from $from on, of ${frames.size} floats"
        }
        if (n > 0) Native.streamPush(alive(), frames, from * dims, n, dims)
    }

    /** Fills [out]; returns how many samples were there. */
    fun pull(out: FloatArray, from: Int = 0, n: Int = out.size - from): Int {
        inside(out, from, n)
        return Native.streamPull(alive(), out, from, n)
    }

    /** The end: what was held back can be pulled. */
    fun flush() = Native.streamFlush(alive())

    /** As it was when it was opened. */
    fun reset(seed: Long = 0) = Native.streamReset(alive(), seed)
}

/** Features of sound, in any pieces. One thread at a time. */
class Extractor internal constructor(handle: Long) : Handle(handle, Native::extractorClose) {
    /** Floats per frame; a model may read the first of them only. */
    val dims: Int = Native.extractorDims(alive())

    /** Samples, -1..1; returns the frames that they complete, `[frames, dims]`. */
    fun push(pcm: FloatArray, from: Int = 0, n: Int = pcm.size - from): FloatArray {
        inside(pcm, from, n)
        return frames(pcm, from, n)
    }

    /** The end: the frames that were held back. */
    fun flush(): FloatArray = frames(null, 0, 0)

    private fun frames(pcm: FloatArray?, from: Int, n: Int): FloatArray {
        val capacity = Native.extractorAfter(alive(), n)
        val rows = FloatArray(maxOf(capacity, 1) * dims)
        return rows.copyOf(Native.extractorPush(alive(), pcm, from, n, rows, capacity) * dims)
    }
}

/**
 * Microphone to loudspeaker through a model, in any pieces; the model runs in [push]. Play
 * [latencySamples] of silence first: then [pull] never runs short. Nothing allocates.
 */
class LivePath internal constructor(handle: Long) : Handle(handle, Native::pathClose) {
    /** At the output's rate. */
    val latencySamples: Int get() = Native.pathLatency(alive())

    /** Returns how many samples were taken: fewer only where output waits that was not pulled. */
    fun push(pcm: FloatArray, from: Int = 0, n: Int = pcm.size - from): Int {
        inside(pcm, from, n)
        return Native.pathPush(alive(), pcm, from, n)
    }

    /** Returns how many samples were ready. */
    fun pull(out: FloatArray, from: Int = 0, n: Int = out.size - from): Int {
        inside(out, from, n)
        return Native.pathPull(alive(), out, from, n)
    }

    /** Nothing will be pushed any more: the rest comes. */
    fun finish() = Native.pathFinish(alive())

    /** Another shift of the voice, semitones. */
    fun shift(pitch: Float, formant: Float) = Native.pathShift(alive(), pitch, formant)

    /** As it was when it was opened. */
    fun reset() = Native.pathReset(alive())
}

/** An object of the C library; [close] it, or its memory stays. */
abstract class Handle internal constructor(
    private var handle: Long,
    private val release: (Long) -> Unit
) : Closeable {
    internal fun alive(): Long {
        check(handle != 0L) { "${javaClass.simpleName} was closed" }
        return handle
    }

    override fun close() {
        if (handle != 0L) release(handle)
        handle = 0
    }
}

private fun inside(array: FloatArray, from: Int, n: Int) =
    require(from >= 0 && n >= 0 && from.toLong() + n <= array.size) {
        "$n from $from on, of ${array.size}"
    }

/** The functions of jni.c. */
internal object Native {
    init {
        System.loadLibrary("pyvoc")
    }

    @JvmStatic external fun version(): String
    @JvmStatic external fun modelLoad(path: String): Long
    @JvmStatic external fun modelLoadMemory(direct: ByteBuffer, size: Int): Long
    @JvmStatic external fun modelRelease(model: Long)
    @JvmStatic external fun modelInfo(model: Long, numbers: IntArray): String
    @JvmStatic external fun streamOpen(model: Long, seed: Long, threads: Int, capacity: Int): Long
    @JvmStatic external fun streamClose(stream: Long)
    @JvmStatic external fun streamPush(stream: Long, frames: FloatArray, from: Int, n: Int, dims: Int)
    @JvmStatic external fun streamAvailable(stream: Long): Int
    @JvmStatic external fun streamPull(stream: Long, out: FloatArray, from: Int, n: Int): Int
    @JvmStatic external fun streamFlush(stream: Long)
    @JvmStatic external fun streamReset(stream: Long, seed: Long)
    @JvmStatic external fun extractorOpen(model: Long): Long
    @JvmStatic external fun extractorClose(extractor: Long)
    @JvmStatic external fun extractorDims(extractor: Long): Int
    @JvmStatic external fun extractorAfter(extractor: Long, n: Int): Int
    @JvmStatic external fun extractorPush(
        extractor: Long, pcm: FloatArray?, from: Int, n: Int, frames: FloatArray, capacity: Int
    ): Int
    @JvmStatic external fun pathOpen(
        model: Long, inputRate: Int, outputRate: Int, pitch: Float, formant: Float, seed: Long
    ): Long
    @JvmStatic external fun pathClose(path: Long)
    @JvmStatic external fun pathLatency(path: Long): Int
    @JvmStatic external fun pathPush(path: Long, pcm: FloatArray, from: Int, n: Int): Int
    @JvmStatic external fun pathPull(path: Long, out: FloatArray, from: Int, n: Int): Int
    @JvmStatic external fun pathFinish(path: Long)
    @JvmStatic external fun pathShift(path: Long, pitch: Float, formant: Float)
    @JvmStatic external fun pathReset(path: Long)
}
