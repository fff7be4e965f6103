// A model that came out of a file: what every family's Vocoder holds, and how it gets there.
#ifndef PYVOC_MODELS_LOADED_H_
#define PYVOC_MODELS_LOADED_H_

#include <memory>
#include <utility>
#include <vector>

#include "io/gguf.h"
#include "kernels/table.h"
#include "models/vocoder.h"

namespace pyvoc::models {

// What each folder of models/ defines as `load`: its model out of a file, checked before anything
// is packed. `file` is not needed afterwards. May throw std::bad_alloc.
using Load = Result<std::unique_ptr<Vocoder>>(const io::Gguf& file,
                                              const kernels::KernelTable& kernels);

// W: PackedWeights and more.
template <typename C, typename W>
class Loaded : public Vocoder {
 public:
  Loaded(const kernels::KernelTable& kernels, C config, W weights, VocoderInfo info)
      : kernels_(kernels),
        config_(std::move(config)),
        weights_(std::move(weights)),
        info_(std::move(info)) {}

  const VocoderInfo& info() const PYVOC_RT final { return info_; }
  const std::vector<PlanEntry>& plan() const final { return weights_.plan; }
  std::size_t packed_bytes() const final { return weights_.arena.bytes(); }
  const C& config() const { return config_; }
  const W& weights() const { return weights_; }

 protected:
  const kernels::KernelTable& kernels_;
  const C config_;
  const W weights_;

 private:
  const VocoderInfo info_;
};

// What a family's Load does.
template <typename Model, typename C, typename W>
Result<std::unique_ptr<Vocoder>> load_model(const io::Gguf& file,
                                            const kernels::KernelTable& kernels,
                                            Result<C> (*read_config)(const io::Gguf&),
                                            Status (*load_weights)(const io::Gguf&, const C&,
                                                                   const kernels::KernelTable&, W&),
                                            VocoderInfo (*describe)(const C&)) {
  Result<C> config = read_config(file);
  if (!config.ok()) return config.status();
  W weights;
  const Status status = load_weights(file, config.value(), kernels, weights);
  if (!status.ok()) return status;
  VocoderInfo info = describe(config.value());
  return std::unique_ptr<Vocoder>(std::make_unique<Model>(kernels, std::move(config.value()),
                                                          std::move(weights), std::move(info)));
}

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_LOADED_H_
