"""PLDA: log-likelihood ratio of one speaker against two, of embeddings after LDA, whitening and length normalisation.

Length normalisation of whitened embeddings is that of Garcia-Romero and Espy-Wilson (2011). Two ways lead to another
domain, of which there are embeddings without speakers: scaling of the covariances as in Kaldi, and CORAL (Sun et al.,
2016), which gives the embeddings that the model is fitted to the covariance of those of the domain.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sv_py.cli import InputError
from sv_py.io.embeddings import Embeddings
from sv_py.log import logger
from sv_py.scoring.backend import Backend, Side, Source
from sv_py.scoring.two_covariance import Moments, diagonalise, fit_by_em, principal, symmetric_power


class Plda(Backend):
    """Two-covariance PLDA. ``state`` has ``means``, ``projection`` (k, d), and the model of k dimensions."""

    @property
    def adapts(self) -> bool:
        """As in the parent class."""
        return self.arguments.adapt != "none"

    def fit(
        self, embeddings: Source, speakers: np.ndarray, domains: Sequence[str] | None = None,
        adaptation: Source | None = None,
    ) -> None:  # fmt: skip
        """As in the parent class. Raises InputError for too few speakers, utterances of them, or ``adaptation``."""
        if speakers.max() < 1:
            raise InputError("PLDA needs embeddings of at least two speakers")
        super().fit(embeddings, speakers, domains)
        moments = self._moments(embeddings, speakers, domains)
        recolouring = np.eye(len(moments.scatter))
        if self.arguments.adapt == "coral":
            weight = self.arguments.coral_weight
            wanted = weight * self._moments(adaptation).total + (1 - weight) * moments.total
            recolouring = symmetric_power(wanted, 0.5) @ symmetric_power(moments.total, -0.5)
        projection = self.state["projection"] = self._projection(moments.transformed(recolouring))
        moments = self._moments(embeddings, speakers, domains, projection @ recolouring)
        model, likelihoods = fit_by_em(moments, self.arguments.iterations)
        if self.adapts:
            self._fit_means(adaptation)
        if self.arguments.adapt == "scaling":
            found = self._moments(adaptation, projection=projection)
            scales = self.arguments.within_covar_scale, self.arguments.between_covar_scale
            model = model.adapted(found.mean, found.total, *scales)
        self.state |= {"mean": model.mean, "transform": model.transform, "psi": model.psi}
        ends = likelihoods[0], likelihoods[-1]
        logger.info("%d dimensions; log-likelihood of an embedding %.4f before EM, %.4f after", len(model.psi), *ends)

    def project(self, centred: Embeddings) -> Side:
        """Vectors (n, k) and offsets: the log-likelihood ratio is a sum over dimensions, in which W is 1 and B psi."""
        mean, transform, psi = (self.state[name] for name in ("mean", "transform", "psi"))
        of_products = psi / (1 + 2 * psi)  # factor of x y, and of x x + y y:
        of_squares = -0.5 * psi * of_products / (1 + psi)
        constant = 0.5 * (np.log1p(psi) - 0.5 * np.log1p(2 * psi)).sum()
        latent = (self._condition(centred, self.state["projection"]) - mean) @ transform.T
        vectors, offsets = latent * np.sqrt(of_products), latent**2 @ of_squares + constant
        return Side(vectors.astype(centred.matrix.dtype), offsets.astype(centred.matrix.dtype))

    def _moments(
        self, embeddings: Source, speakers: np.ndarray | None = None, domains: Sequence[str] | None = None,
        projection: np.ndarray | None = None,
    ) -> Moments:  # fmt: skip
        """Of embeddings less their mean, or, with ``projection``, of what the model sees; without speakers, of one."""

        def matrices() -> Iterator[np.ndarray]:
            for part, block in embeddings.blocks():
                centred = self.centre(block, domains and domains[part])
                yield centred.matrix.astype(np.float64) if projection is None else self._condition(centred, projection)

        speakers = np.zeros(len(embeddings.ids), int) if speakers is None else speakers
        return Moments.of(matrices(), speakers, embeddings.dimension if projection is None else len(projection))

    def _projection(self, moments: Moments) -> np.ndarray:
        """LDA and whitening as one matrix (k, d), without directions in which nothing varies."""
        projection, variances = principal(moments.total)
        if kept := self.arguments.lda_dim:
            most = min(len(projection), len(moments.sizes) - 1)
            if kept > most:
                raise InputError(
                    f"lda_dim {kept}: {len(projection)} dimensions and {len(moments.sizes)} speakers have "
                    f"at most {most} directions"
                )
            moments = moments.transformed(projection)
            transform, psi = diagonalise(moments.within, moments.between)
            projection, variances = transform[:kept] @ projection, 1 + psi[:kept]
        return projection / np.sqrt(variances)[:, None] if self.arguments.whiten else projection

    def _condition(self, centred: Embeddings, projection: np.ndarray) -> np.ndarray:
        """Projected and, if wanted, brought to the length sqrt(k), which whitened vectors have on average; float64."""
        vectors = centred.matrix.astype(np.float64) @ projection.T
        if self.arguments.length_norm:
            lengths = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))
            zero = np.flatnonzero(lengths == 0)
            if len(zero):
                raise InputError(f"{centred.ids[zero[0]]} has an embedding equal to the mean: no length to normalise")
            vectors *= np.sqrt(len(projection)) / lengths[:, None]
        return vectors
