//! The cluster service.

use custodia_proto::v1::{self, cluster_service_server::ClusterService};
use tonic::{Request, Response, Status};

use super::{Api, circumstances};
use crate::service::{cluster, turning};

#[tonic::async_trait]
impl ClusterService for Api {
    async fn init_cluster(
        &self,
        request: Request<v1::InitClusterRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(cluster::init_cluster(&self.room, request.into_inner(), deadline).await?))
    }

    async fn get_cluster_status(
        &self,
        request: Request<v1::GetClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(cluster::cluster_status(&self.room, deadline).await))
    }

    async fn list_shards(
        &self,
        request: Request<v1::ListShardsRequest>,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        Ok(Response::new(cluster::list_shards(&self.room, &request.into_inner())?))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(v1::ListNodesResponse { nodes: cluster::nodes(&self.room, deadline).await }))
    }

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::RotateKeysResponse>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(Response::new(turning::rotate_keys(&self.room, &caller, request.into_inner(), deadline).await?))
    }
}
