//! A layer that remembers: long short-term memory (Hochreiter and Schmidhuber 1997; with forget gates Gers et al. 2000), as PyTorch's.

use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::mlp::Linear;
use super::parameters::Init;
use super::{ModelError, ParameterId, Parameters};

/// One layer. Gates are in PyTorch's order: input, forget, cell, output.
pub(crate) struct Lstm {
    input: Linear,
    /// (4 size × size)
    hidden: ParameterId,
    size: i64,
}

impl Lstm {
    /// Adds `name.input.weight`, `name.input.bias` and `name.hidden.weight` to the parameters: PyTorch's `weight_ih_l0`,
    /// `bias_ih_l0` and `weight_hh_l0`.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub(crate) fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: i64,
        size: i64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let input = Linear::new(parameters, &format!("{name}.input"), inputs, 4 * size, rng)?;
        let weight = format!("{name}.hidden.weight");
        let init = Init::LeCun { inputs: size };
        let hidden = parameters.add(weight, &[4 * size, size], init, rng)?;
        Ok(Self {
            input,
            hidden,
            size,
        })
    }

    /// What it says of inputs (steps · worlds × inputs) in their order, a step's worlds side by side: (steps · worlds × size). It
    /// goes on from what it remembers, hidden and cell (worlds × size each), which `keeps` (steps × worlds) makes nothing before
    /// a step where it is 0, and leaves there what it remembers at the end.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        keeps: &Tensor,
        memory: &mut [Tensor],
    ) -> Tensor {
        let [steps, worlds] = [0, 1].map(|dim| keeps.size()[dim]);
        let gates = self.input.forward(parameters, x);
        let gates = gates.reshape([steps, worlds, 4 * self.size]);
        let keeps = keeps.unsqueeze(-1);
        let weight = parameters.get(self.hidden).tr();
        let mut outputs = Vec::with_capacity(steps as usize);
        for step in 0..steps {
            let keep = keeps.get(step);
            let gates = gates.get(step) + (&memory[0] * &keep).matmul(&weight);
            let gate = |number: i64| gates.narrow(1, number * self.size, self.size);
            let cell = gate(1).sigmoid() * &memory[1] * keep + gate(0).sigmoid() * gate(2).tanh();
            let hidden = gate(3).sigmoid() * cell.tanh();
            outputs.push(hidden.shallow_clone());
            [memory[0], memory[1]] = [hidden, cell];
        }
        Tensor::cat(&outputs, 0)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn it_is_pytorchs_and_forgets_where_it_shall() {
        let mut parameters = Parameters::new(Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let lstm = Lstm::new(&mut parameters, "lstm", 3, 4, &mut rng).unwrap();
        let (steps, worlds) = (5, 2);
        let x = Tensor::randn([steps, worlds, 3], (Kind::Float, Device::Cpu));
        let nothing = || {
            let zeros = || Tensor::zeros([worlds, 4], (Kind::Float, Device::Cpu));
            [zeros(), zeros()]
        };
        let run = |x: &Tensor, keeps: &Tensor, memory: &mut [Tensor]| {
            let x = x.reshape([-1, 3]);
            lstm.forward(&parameters, &x, keeps, memory)
                .reshape([-1, worlds, 4])
        };
        let keeps = Tensor::ones([steps, worlds], (Kind::Float, Device::Cpu));
        let mut memory = nothing();
        let found = run(&x, &keeps, &mut memory);
        let [weight, bias] = [lstm.input.weight, lstm.input.bias].map(|id| parameters.get(id));
        let hidden = parameters.get(lstm.hidden);
        let none = Tensor::zeros([16], (Kind::Float, Device::Cpu));
        let [h, c] = nothing().map(|x| x.unsqueeze(0));
        let theirs = [weight, hidden, bias, &none];
        let (expected, h, c) = x.lstm(&[&h, &c], &theirs, true, 1, 0.0, false, false, false);
        for (a, b) in [
            (&found, &expected),
            (&memory[0], &h.squeeze_dim(0)),
            (&memory[1], &c.squeeze_dim(0)),
        ] {
            assert!(a.allclose(b, 1e-5, 1e-6, false));
        }
        // Step by step it is the same; after a forgetful step it is as begun there.
        let mut memory = nothing();
        let rows = |from: i64, n: i64| (x.narrow(0, from, n), keeps.narrow(0, from, n));
        let parts: Vec<Tensor> = (0..steps)
            .map(|step| {
                let (x, keeps) = rows(step, 1);
                run(&x, &keeps, &mut memory)
            })
            .collect();
        assert!(Tensor::cat(&parts, 0).allclose(&found, 1e-5, 1e-6, false));
        let forgets = keeps.copy();
        let _ = forgets.get(2).get(1).fill_(0.0);
        let one = run(&x, &forgets, &mut nothing());
        let (later, its) = rows(2, 3);
        let anew = run(&later, &its, &mut nothing());
        assert!(
            one.select(1, 0)
                .allclose(&found.select(1, 0), 1e-5, 1e-6, false)
        );
        let of_second = one.select(1, 1).narrow(0, 2, 3);
        assert!(of_second.allclose(&anew.select(1, 1), 1e-5, 1e-6, false));
        assert!(!of_second.allclose(&found.select(1, 1).narrow(0, 2, 3), 1e-3, 1e-3, false));
    }
}
