/// Neural vocoders, over the C library (docs/mobile.md).
import CPyvoc
import Foundation

/// The library refused something.
public struct VocoderError: Error, CustomStringConvertible {
  /// `PYVOC_ERROR_*` of pyvoc.h, 1 to 10.
  public let code: UInt32
  /// The library's sentence.
  public let description: String
}

private func check(_ status: pyvoc_status) throws {
  if status != PYVOC_OK {
    throw VocoderError(code: status.rawValue, description: String(cString: pyvoc_last_error()))
  }
}

/// What a model is.
public struct ModelInfo: Sendable {
  public let family: String
  public let precision: String
  public let featureLayout: String
  /// Hz.
  public let sampleRate: Int
  /// Samples per frame.
  public let hopLength: Int
  /// Floats per frame.
  public let featureDims: Int
  /// Samples by which a stream lies behind its frames.
  public let latencySamples: Int
}

/// A model in memory. Any number of threads may use it; what it opened may outlive it.
public final class Vocoder: @unchecked Sendable {
  private let model: OpaquePointer
  public let info: ModelInfo

  public convenience init(contentsOf url: URL) throws {
    try self.init(data: Data(contentsOf: url, options: .mappedIfSafe))
  }

  /// A model in memory, which is not needed afterwards.
  public init(data: Data) throws {
    var loaded: OpaquePointer?
    try data.withUnsafeBytes { try check(pyvoc_model_load_memory($0.baseAddress, $0.count, &loaded)) }
    model = loaded!
    var info = pyvoc_model_info()
    info.struct_size = UInt32(MemoryLayout<pyvoc_model_info>.size)
    let status = pyvoc_model_get_info(model, &info)
    self.info = ModelInfo(
      family: status == PYVOC_OK ? String(cString: info.architecture) : "",
      precision: status == PYVOC_OK ? String(cString: info.precision) : "",
      featureLayout: status == PYVOC_OK ? String(cString: info.feature_layout) : "",
      sampleRate: Int(info.sample_rate), hopLength: Int(info.hop_length),
      featureDims: Int(info.feature_dims), latencySamples: Int(info.latency_samples))
    try check(status)
  }

  deinit { pyvoc_model_release(model) }

  /// Frames in, samples out. `capacity` frames may wait to be heard.
  public func stream(seed: UInt64 = 0, threads: Int = 1, capacity: Int = 64) throws -> VocoderStream {
    var options = pyvoc_stream_options()
    options.struct_size = UInt32(MemoryLayout<pyvoc_stream_options>.size)
    options.seed = seed
    options.threads = UInt32(threads)
    options.capacity_frames = UInt32(capacity)
    var opened: OpaquePointer?
    try check(pyvoc_stream_open(model, &options, &opened))
    return VocoderStream(opened!, featureDims: info.featureDims)
  }

  /// Speech, `frames * hopLength` samples, of all frames `[frames, dims]`; dims are those that the
  /// model reads unless given.
  public func synthesize(
    _ features: [Float], dims: Int? = nil, seed: UInt64 = 0, threads: Int = 1
  ) throws -> [Float] {
    let dims = dims ?? info.featureDims
    precondition(features.count % dims == 0, "frames have \(dims) floats")
    let frames = features.count / dims
    let stream = try self.stream(seed: seed, threads: threads, capacity: max(frames, 1))
    try stream.push(features, dims: dims)
    try stream.flush()
    return try stream.pull(frames * info.hopLength)
  }

  /// Features of a whole recording at the model's rate, `[frames, dims]`. A model may read the first
  /// of each frame's floats only.
  public func features(_ pcm: [Float]) throws -> (data: [Float], dims: Int) {
    var opened: OpaquePointer?
    try check(pyvoc_extractor_open_for_model(model, &opened))
    let extractor = opened!
    defer { pyvoc_extractor_close(extractor) }
    var about = pyvoc_extractor_info()
    about.struct_size = UInt32(MemoryLayout<pyvoc_extractor_info>.size)
    try check(pyvoc_extractor_get_info(extractor, &about))
    let dims = Int(about.feature_dims)
    var rows: [Float] = []
    for piece in [pcm, []] {  // the second is the end
      let capacity = pyvoc_extractor_frames_after(extractor, piece.count)
      var part = [Float](repeating: 0, count: max(capacity, 1) * dims)
      var written = 0
      if piece.isEmpty {
        try check(pyvoc_extractor_flush(extractor, &part, capacity, &written))
        rows += part.prefix(written * dims)
        break
      }
      try check(pyvoc_extractor_push(extractor, piece, piece.count, &part, capacity, &written))
      rows += part.prefix(written * dims)
    }
    return (rows, dims)
  }

  /// Microphone to loudspeaker; rates in Hz, pitch and formant in semitones.
  public func live(
    inputRate: Int, outputRate: Int, pitch: Float = 0, formant: Float = 0, seed: UInt64 = 0
  ) throws -> LivePath {
    var options = pyvoc_live_path_options()
    options.struct_size = UInt32(MemoryLayout<pyvoc_live_path_options>.size)
    options.input_rate = UInt32(inputRate)
    options.output_rate = UInt32(outputRate)
    options.pitch = pitch
    options.formant = formant
    options.seed = seed
    var opened: OpaquePointer?
    try check(pyvoc_live_path_open(model, &options, &opened))
    return LivePath(opened!)
  }
}

/// Frames in, samples out, in any pieces. One thread at a time.
public final class VocoderStream {
  private let stream: OpaquePointer
  private let featureDims: Int

  fileprivate init(_ stream: OpaquePointer, featureDims: Int) {
    self.stream = stream
    self.featureDims = featureDims
  }

  deinit { pyvoc_stream_close(stream) }

  /// Samples that can be pulled now.
  public var available: Int { pyvoc_stream_available(stream) }

  /// All frames or, with an error, none. Of each one's `dims` floats the model reads the first.
  public func push(_ frames: [Float], dims: Int? = nil) throws {
    let dims = dims ?? featureDims
    precondition(dims >= featureDims && frames.count % dims == 0, "frames have \(dims) floats")
    try check(pyvoc_stream_push(stream, frames, frames.count / dims, dims))
  }

  /// At most `n` samples: what is there.
  public func pull(_ n: Int) throws -> [Float] {
    var written = 0
    var samples = [Float](repeating: 0, count: n)
    try check(pyvoc_stream_pull(stream, &samples, n, &written))
    samples.removeLast(n - written)
    return samples
  }

  /// [real-time] The same into memory of the caller's, for an audio callback: how many, or -1.
  public func pull(into samples: UnsafeMutableBufferPointer<Float>) -> Int {
    var written = 0
    let status = pyvoc_stream_pull(stream, samples.baseAddress, samples.count, &written)
    return status == PYVOC_OK ? written : -1
  }

  /// The end: what was held back can be pulled.
  public func flush() throws { try check(pyvoc_stream_flush(stream)) }

  /// As it was when it was opened.
  public func reset(seed: UInt64 = 0) throws { try check(pyvoc_stream_reset(stream, seed)) }
}

/// Microphone to loudspeaker through a model, in any pieces; the model runs in `push`. Play
/// `latencySamples` of silence first: then `pull` never runs short. For an audio callback: no
/// allocation, no lock.
public final class LivePath {
  private let path: OpaquePointer

  fileprivate init(_ path: OpaquePointer) { self.path = path }

  deinit { pyvoc_live_path_close(path) }

  /// At the output's rate.
  public var latencySamples: Int {
    var info = pyvoc_live_path_info()
    info.struct_size = UInt32(MemoryLayout<pyvoc_live_path_info>.size)
    return pyvoc_live_path_get_info(path, &info) == PYVOC_OK ? Int(info.latency_samples) : 0
  }

  /// How many samples were taken: fewer only where output waits that was not pulled.
  public func push(_ pcm: UnsafeBufferPointer<Float>) -> Int {
    pyvoc_live_path_push(path, pcm.baseAddress, pcm.count)
  }

  /// How many samples were ready.
  public func pull(into samples: UnsafeMutableBufferPointer<Float>) -> Int {
    pyvoc_live_path_pull(path, samples.baseAddress, samples.count)
  }

  /// Nothing will be pushed any more: the rest comes.
  public func finish() { pyvoc_live_path_finish(path) }

  /// Another shift of the voice, semitones.
  public func shift(pitch: Float, formant: Float) throws {
    try check(pyvoc_live_path_set_shift(path, pitch, formant))
  }
}
