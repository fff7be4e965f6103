#include "api/describe.h"

#include "api/json.h"
#include "backends/backend.h"
#include "base/cpu.h"
#include "kernels/resolve.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::api {
namespace {

void write_value(JsonWriter& json, const io::Value& value) {
  switch (value.kind) {
    case io::Value::Kind::kUint:
      json.value(static_cast<unsigned long long>(value.u));
      return;
    case io::Value::Kind::kInt:
      json.value(static_cast<long long>(value.i));
      return;
    case io::Value::Kind::kFloat:
      json.value(value.f);
      return;
    case io::Value::Kind::kBool:
      json.value(value.b);
      return;
    case io::Value::Kind::kString:
      json.value(value.s);
      return;
    case io::Value::Kind::kArray:
      json.open('[');
      for (const io::Value& item : value.array) write_value(json, item);
      json.close(']');
      return;
  }
}

}  // namespace

std::string describe_system(const kernels::KernelTable& active) {
  JsonWriter json;
  json.open('{').field("version", pyvoc_version()).field("cpu", cpu_name());
  json.field("active_tier", active.tier);
  json.key("tiers").open('[');
  for (const kernels::Tier& tier : kernels::tiers()) {
    json.open('{').field("name", tier.name).field("supported", tier.supported);
    json.field("asked_for", tier.table->bf16_products).close('}');
  }
  json.close(']').key("slots").open('{');
  for (const auto& [slot, tier] : kernels::slot_origins(active)) json.field(slot, tier);
  json.close('}').key("backends").open('[');
  for (const backends::Backend* backend : backends::backends()) {
    json.open('{').field("name", backend->name()).field("about", backend->about());
    json.field("unavailable", backend->unavailable()).close('}');
  }
  json.close(']').close('}');
  return json.text();
}

std::string describe_model(const io::Gguf& file, const models::Vocoder& vocoder) {
  const models::VocoderInfo& info = vocoder.info();
  JsonWriter json;
  json.open('{').field("file", file.name()).field("architecture", info.architecture);
  json.field("precision", info.precision).field("feature_layout", info.feature_layout);
  json.field("feature_dims", info.feature_dims).field("sample_rate", info.sample_rate);
  json.field("hop_length", info.hop_length).field("lookahead_frames", info.lookahead_frames);
  json.field("packed_bytes", static_cast<unsigned long long>(vocoder.packed_bytes()));
  json.key("metadata").open('{');
  for (const auto& [key, value] : file.metadata()) {
    json.key(key);
    write_value(json, value);
  }
  json.close('}').key("tensors").open('[');
  for (const io::Tensor& tensor : file.tensors()) {
    json.open('{').field("name", tensor.name).field("type", io::type_name(tensor.type));
    json.key("shape").open('[');
    for (const std::size_t n : tensor.shape) json.value(static_cast<unsigned long long>(n));
    json.close(']').close('}');
  }
  json.close(']').key("plan").open('[');
  for (const models::PlanEntry& entry : vocoder.plan()) {
    json.open('{')
        .field("layer", entry.layer)
        .field("op", entry.op)
        .field("weights", entry.weights);
    json.field("rows", entry.rows).field("cols", entry.cols).field("backend", entry.backend);
    json.close('}');
  }
  json.close(']').close('}');
  return json.text();
}

}  // namespace pyvoc::api
