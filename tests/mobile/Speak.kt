// Speak MODEL FEATURES.f32 PCM.f32 FOLDER: every class of Vocoder.kt, for test_mobile.py, which looks
// at the numbers in FOLDER; what can be told here is checked here.
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import pyvoc.Vocoder
import pyvoc.VocoderException

fun read(path: String): FloatArray {
    val floats = ByteBuffer.wrap(File(path).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    return FloatArray(floats.remaining()).also { floats.get(it) }
}

fun write(path: String, values: FloatArray) {
    val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    bytes.asFloatBuffer().put(values)
    File(path).writeBytes(bytes.array())
}

fun refused(code: Int, what: () -> Unit) {
    try {
        what()
    } catch (e: VocoderException) {
        check(e.code == code && e.message!!.length > 10) { "${e.code}: ${e.message}" }
        return
    }
    error("not refused")
}

fun main(args: Array<String>) {
    val (path, features, sound, folder) = args
    val voice = Vocoder.load(File(path))
    println("${Vocoder.version} ${voice.info}")
    val frames = read(features)
    val whole = voice.synthesize(frames, seed = 7)
    write("$folder/whole.f32", whole)

    // In pieces, of a model whose array is gone; the model is closed first.
    val copy = Vocoder.load(File(path).readBytes())
    val stream = copy.stream(seed = 7)
    copy.close()
    val out = FloatArray(whole.size)
    var n = 0
    for (i in 0 until frames.size / copy.info.featureDims) {
        stream.push(frames, from = i, n = 1)
        n += stream.pull(out, n, minOf(stream.available, 100))
    }
    stream.flush()
    n += stream.pull(out, n)
    check(n == whole.size && out.contentEquals(whole)) { "a stream's samples are others" }
    stream.reset(7)
    check(stream.available == 0)

    val pcm = read(sound)
    val (heardFrames, dims) = voice.features(pcm)
    write("$folder/features.f32", heardFrames)
    write("$folder/copy.f32", voice.synthesize(heardFrames, dims, seed = 7))

    val live = voice.live(voice.info.sampleRate, voice.info.sampleRate, seed = 7)
    val heard = FloatArray(pcm.size + 4096)
    var (at, got) = Pair(0, 0)
    while (at < pcm.size) {
        at += live.push(pcm, at, minOf(1500, pcm.size - at))
        got += live.pull(heard, got)
    }
    live.finish()
    got += live.pull(heard, got)
    live.shift(3f, 0f)
    check(live.latencySamples in 1..2000)
    write("$folder/live.f32", heard.copyOf(got))

    refused(3) { stream.push(FloatArray(voice.info.featureDims) { Float.NaN }) }
    refused(6) { Vocoder.load(File("/nowhere/at.gguf")) }
    refused(2) { Vocoder.load(ByteArray(64)) }
    stream.close()
    stream.close()
    try {
        stream.flush()
        error("a closed stream was used")
    } catch (e: IllegalStateException) {
        check("closed" in e.message!!)
    }
    try {
        live.pull(heard, 1, heard.size)
        error("beyond an array")
    } catch (e: IllegalArgumentException) {
    }
    live.close()
    voice.close()
    println("done")
}
